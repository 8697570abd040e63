"""What must never be spoken is not; what is text stays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.voice.spoken_copy import SpokenCopy, speak_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It is **very** *warm*.", "It is very warm."),
        ("2 * 3 is 6", "2 times 3 is 6"),
        ("5*3=15 and 2*x", "5 times 3=15 and 2 times x"),
        ("def f(*args)", "def f(args)"),
        ("say <tool_call> aloud", "say  aloud"),
        ("[TOOL_CALLS] and [/THINK] and <reflection>, [see] [A] [TO", " and  and , [see] [A] [TO"),
        ("3 < 4 and <b> stays", "3 < 4 and <b> stays"),
        ("* one\n* two", "one\ntwo"),
        ("  * one", "  one"),
        ("## Title\ntext # 5", "Title\ntext # 5"),
        ("#1 is best", "#1 is best"),
        ("run `df -h` now", "run df -h now"),
        ("Here:\n```python\nprint(2)\n```\ndone", "Here:\n\nprint(2)\n\ndone"),
        ("```two words``` end", "two words end"),
        ("Bye.<|im_end|>", "Bye."),
        ("<|endoftext|>Hi", "Hi"),
        ("cut <|im_", "cut <|im_"),
    ],
)
def test_markup_is_not_spoken(written: str, spoken: str) -> None:
    assert speak_of(written).strip() == spoken.strip()


def test_an_open_control_token_over_a_line_end_is_text() -> None:
    assert speak_of("a <| b\nc") == "a <| b\nc"


def test_plain_words_are_not_delayed() -> None:
    words = SpokenCopy()
    assert words.feed("Good morning, ") == "Good morning, "


_PIECES = st.sampled_from(
    ["```", "```json\n", "**", "*", "# ", "#", "`", "<|im_end|>", "<|", "|>", "<tool_call>", "</think>", "<", "word ",
     " ", "\n", "5", "x", "(", ")"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=3), max_size=25).map("".join)


@given(_TEXTS, st.lists(st.integers(0, 120)))
def test_any_chunking_speaks_the_same(text: str, places: list[int]) -> None:
    edges = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    copy = SpokenCopy()
    assert "".join(copy.feed(text[a:b]) for a, b in pairwise(edges)) + copy.finish() == speak_of(text)
