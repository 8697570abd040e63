"""Exports and imports as JSON Lines."""

from __future__ import annotations

import json

import pytest

from pipecatapp.memory.fact_index import MAX_TEXT, NewFact, clean
from pipecatapp.memory.transfer import parse, to_line
from pipecatapp.storage.records import StoredFact

pytestmark = pytest.mark.unit


def test_what_was_exported_can_be_imported() -> None:
    fact = StoredFact(3, "Zoë plays the cello", "person", "t-9", 12.5, seen=2)

    parsed = parse([to_line(fact), "\n"])

    assert parsed.refused == []
    assert parsed.facts == [NewFact("Zoë plays the cello", "person", "t-9", 12.5, 2)]


def test_a_line_written_by_hand_needs_only_a_text() -> None:
    assert parse(['{"text": "it rains"}']).facts == [NewFact("it rains")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", "no JSON"),
        ("[1]", "no JSON object"),
        ("{}", "`text`"),
        ('{"text": " \\n"}', "`text`"),
        ('{"text": 5}', "`text`"),
        ('{"text": "x", "kind": 5}', "`kind`"),
        ('{"text": "x", "created_at": "yesterday"}', "`created_at`"),
        ('{"text": "x", "created_at": true}', "`created_at`"),
        ('{"text": "x", "created_at": NaN}', "`created_at`"),
        ('{"text": "x", "created_at": 1e400}', "`created_at`"),
        ('{"text": "x", "seen": 0}', "`seen`"),
        ('{"text": "x", "seen": 2.5}', "`seen`"),
    ],
)
def test_a_line_that_is_no_fact_is_refused_with_its_number(line: str, reason: str) -> None:
    parsed = parse(['{"text": "fine"}', line, '{"text": "fine too"}'])

    assert [fact.text for fact in parsed.facts] == ["fine", "fine too"]
    assert parsed.refused[0][0] == 2
    assert reason in parsed.refused[0][1]


def test_a_text_is_one_clean_line_of_limited_length() -> None:
    assert clean(" a\x00b\nc\ud800\u202e d ") == "a b c d"
    assert len(clean("x" * 5000)) == MAX_TEXT
    assert json.loads(to_line(StoredFact(1, clean("\ud800ok"), "note", "", 0.0)))["text"] == "ok"
