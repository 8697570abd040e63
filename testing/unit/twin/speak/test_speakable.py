"""What must never be spoken is not; what is text stays."""

from __future__ import annotations

import pytest

from pipecatapp.twin.speak.speakable import SpeakableFilter, speakable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It is **very** *warm*.", "It is very warm."),
        ("2 * 3 is 6", "2 * 3 is 6"),
        ("* one\n* two", "one\ntwo"),
        ("  * one", "  one"),
        ("## Title\ntext # 5", "Title\ntext # 5"),
        ("#1 is best", "#1 is best"),
        ("run `df -h` now", "run df -h now"),
        ("Here:\n```python\nprint(2)\n```\ndone", "Here:\n\nprint(2)\n\ndone"),
        ("```two words``` end", "two words end"),
        ("Bye.<|im_end|>", "Bye."),
        ("<|endoftext|>Hi", "Hi"),
        ("cut <|im_", "cut "),
    ],
)
def test_markup_is_not_spoken(written: str, spoken: str) -> None:
    assert speakable(written).strip() == spoken.strip()


def test_an_open_control_token_over_a_line_end_is_text() -> None:
    assert speakable("a <| b\nc") == "a <| b\nc"


def test_plain_words_are_not_delayed() -> None:
    words = SpeakableFilter()
    assert words.feed("Good morning, ") == "Good morning, "
