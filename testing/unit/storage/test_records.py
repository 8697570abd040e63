"""Records as lines: what is written comes back, what was changed does not."""

from __future__ import annotations

import json

import pytest

from pipecatapp.storage.records import (
    BadRecordError,
    Embedded,
    FactAdded,
    Forgotten,
    Header,
    Merged,
    Record,
    StoredFact,
    Vector,
    decode,
    decode_header,
    encode,
)

pytestmark = pytest.mark.unit

FACT = StoredFact(7, 'Zoë said "no":\n\tünïcode ☂', "note", "t-1", 12.5, seen=3, last_seen=14.0, supersedes=(2, 5))
RECORDS: list[Record] = [
    FactAdded(FACT),
    FactAdded(FACT, Vector("minilm", "AAAA")),
    Merged(7, (1, 2), 3.5),
    Forgotten((7, 8), 4.0),
    Embedded(7, Vector("minilm", "AAAA")),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    line = encode(record)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_any_changed_byte_is_noticed(record: Record) -> None:
    line = encode(record)

    for place in range(len(line)):
        changed = bytearray(line)
        changed[place] ^= 0x01
        with pytest.raises(BadRecordError):
            decode(bytes(changed))


def test_any_torn_line_is_noticed() -> None:
    line = encode(RECORDS[1])

    for length in range(len(line)):
        with pytest.raises(BadRecordError):
            decode(line[:length])


def test_a_line_is_json_for_other_programs() -> None:
    assert json.loads(encode(FactAdded(FACT)))["text"] == FACT.text


def test_the_header_says_what_follows() -> None:
    assert decode_header(encode(Header(next_id=9, book="b1"))) == (Header(next_id=9, book="b1"), 1)


def test_a_record_is_no_header() -> None:
    with pytest.raises(BadRecordError, match="no header"):
        decode_header(encode(RECORDS[0]))
