"""Whether a request wants a deed, a look at something here, made words or talk."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pipecatapp.languages import language
from pipecatapp.languages.pretence import Want

pytestmark = pytest.mark.unit

REQUESTS = Path(__file__).resolve().parents[2] / "data/reflex_no_tool.jsonl"
want = language().pretence.want


@pytest.mark.parametrize(
    ("request_words", "wanted"),
    [
        ("Please fold the deck chairs away", Want.DEED),
        ("could you nudge the blind down a little", Want.DEED),
        ("Text Robin that we are early.", Want.DEED),
        ("It smells in there, air it a bit", Want.DEED),
        ("has the kettle boiled", Want.READING),
        ("What am I wearing?", Want.READING),
        ("How warm is the cellar?", Want.READING),
        ("Are there any calls for me?", Want.READING),
        ("is anybody upstairs", Want.READING),
        ("Tell me the score", Want.READING),
        ("what is the tallest tower in the world", Want.TALK),
        ("Is the whale a fish?", Want.TALK),
        ("I am so tired today", Want.TALK),
        ("thanks, that will do", Want.TALK),
        ("see you tomorrow", Want.TALK),
        ("why is the sky blue today", Want.WORDS),
        ("tell me a story about our kitchen", Want.WORDS),
        ("How do I clean the oven?", Want.WORDS),
        ("what should I cook tonight", Want.WORDS),
    ],
)
def test_a_request_is_told_by_its_build(request_words: str, wanted: Want) -> None:
    assert want(request_words) is wanted


def test_what_is_not_here_is_told_from_knowledge() -> None:
    rows = [json.loads(line) for line in REQUESTS.read_text().splitlines()]

    def share(kind: str) -> float:
        found = [want(row["text"]) in (Want.READING, Want.DEED) for row in rows if row["kind"] == kind]
        return sum(found) / len(found)

    assert share("cannot") > 0.78
    assert share("mind") < 0.04
    assert share("talk") < 0.11


def test_a_long_request_takes_no_longer() -> None:
    began = time.process_time()
    for words in ("is the a b ", "how much is left in ", "please and so ", "what is the x ing "):
        want(words * 20_000)
    assert time.process_time() - began < 1
