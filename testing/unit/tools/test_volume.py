"""``audio.volume``: what people say of loudness, in each conversation for itself."""

from __future__ import annotations

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.volume import USUAL, Loudness, Volume

pytestmark = pytest.mark.unit

HERE = ToolContext("c", "t")


@pytest.mark.parametrize(
    ("words", "percent"),
    [
        ("louder", 85), ("quieter please", 55), ("a bit quieter", 62), ("a little louder", 78), ("much louder", 100),
        ("50 percent", 50), ("set the volume to thirty percent", 30), ("volume five", 50), ("turn it up", 85),
        ("turn it down a little", 62), ("20 percent louder", 90), ("lower it by 10 percent", 60), ("half", 50),
        ("as loud as you can", 100), ("mute", 0), ("that is too loud", 55), ("speak up", 85), ("normal", USUAL),
    ],
)  # fmt: skip
async def test_what_is_said_changes_the_loudness(words: str, percent: int) -> None:
    loudness = Loudness()
    await Volume(loudness).run({"change": words}, HERE)
    assert loudness.of("c") == percent
    assert loudness.of("another") == USUAL


@pytest.mark.parametrize("words", ["blue", "eleventy percent", "the door", "150"])
async def test_what_is_not_understood_changes_nothing(words: str) -> None:
    loudness = Loudness()
    with pytest.raises(ToolError, match=f"how loud {words} is"):
        await Volume(loudness).run({"change": words}, HERE)
    assert loudness.of("c") == USUAL


async def test_the_receipt_says_what_it_is_now() -> None:
    tool = Volume(Loudness())
    told = [
        (await tool.run({"change": words}, HERE)).text for words in ("louder", "much louder", "louder", "mute", "mute")
    ]
    assert told == [
        "The volume is 85 percent now.",
        "The volume is 100 percent now, and that is as loud as I can speak.",
        "I speak as loudly as I can already, at 100 percent.",
        "I am silent now. Write louder to bring me back.",
        "I am silent already.",
    ]
