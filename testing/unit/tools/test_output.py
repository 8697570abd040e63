"""What a program prints is kept within bounds, readable, and shown while it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.tools.output import BoundedOutput, NewestLine, readable, short

pytestmark = pytest.mark.unit


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(4, 80))
def test_no_more_is_kept_than_the_limit(pieces: list[bytes], limit: int) -> None:
    kept = BoundedOutput(limit)
    for piece in pieces:
        kept.add(piece)
    whole = b"".join(pieces)
    assert kept.total == len(whole)
    if len(whole) <= limit:
        assert kept.text() == readable(whole.decode(errors="replace"))
    else:
        assert f"({len(whole) - limit} bytes are left out here)" in kept.text()


def test_the_beginning_and_the_end_are_kept() -> None:
    kept = BoundedOutput(8)
    for letter in b"abcdefghijklmnop":
        kept.add(bytes([letter]))
    assert kept.text() == "abcdef\n(8 bytes are left out here)\nop"


def test_escapes_and_controls_are_no_text() -> None:
    assert readable("\x1b[1;31mred\x1b[0m\x1b]0;title\x07 a\x00b\x08\tc\r\nd\n") == "red ab\tc\nd"


def test_a_line_is_shown_when_it_is_whole_and_not_too_often() -> None:
    shown: list[str] = []
    now = [0.0]
    newest = NewestLine(shown.append, lambda: now[0])
    newest.add(b"half a ")
    assert shown == []
    newest.add(b"line\nsecond\nthird\nrest")
    newest.add(b"\n")
    now[0] = 1.0
    newest.add(b"later\n")
    newest.add(b"x" * 100_000)
    assert shown == ["third", "later"]
    now[0] = 2.0
    newest.add(b"\n")
    assert len(shown[-1]) == 200


def test_a_short_text_ends_at_a_line() -> None:
    assert short("one\ntwo\nthree", 8) == "one\ntwo\n(and 1 more lines)"
    assert short("abcdefgh", 4) == "abcd (and more)"
    assert short(" all \n", 10) == "all"
