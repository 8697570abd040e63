"""``audio.volume``: how loud the voice is, in each conversation for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipecatapp.domain import Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.languages import language
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.registry import ToolServices

USUAL = 70  # percent: the sound as the synthesizer makes it, with room above
_MOST = 500  # conversations whose loudness is known


class Loudness:
    """How loud the voice speaks in each conversation, in percent, until the program ends."""

    def __init__(self) -> None:
        self._percent: dict[str, int] = {}

    def of(self, conversation: str) -> int:
        """0 (silence) to 100 (as loud as it gets)."""
        return self._percent.get(conversation, USUAL)

    def change(self, conversation: str, percent: int) -> int:
        """Speak so loud from the next sound on; returns what it is now."""
        self._percent.pop(conversation, None)
        self._percent[conversation] = min(100, max(0, percent))
        if len(self._percent) > _MOST:
            del self._percent[next(iter(self._percent))]
        return self._percent[conversation]


class Volume:
    """Changes the loudness of the voice.

    Args:
        loudness: what the voice goes by.
    """

    spec = ToolSpec(
        name="audio.volume",
        description="Make the voice louder or quieter, or as loud as so many percent.",
        parameters={
            "type": "object",
            "properties": {
                "change": {"type": "string", "minLength": 1, "maxLength": 100, "description": "In the person's words."}
            },
            "required": ["change"],
        },
        risk=Risk.OWN,
        copied=("change",),
        asks=("speak louder", "a bit quieter", "set the volume to 50 percent", "turn it up"),
    )

    def __init__(self, loudness: Loudness) -> None:
        self._loudness = loudness

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Change it; what is not understood changes nothing."""
        words = str(arguments["change"])
        wish = language().read_volume(words)
        if wish is None:
            raise ToolError(f"I do not know how loud {words} is; say louder, quieter or a number of percent")
        before = self._loudness.of(context.conversation)
        wanted = wish.percent if wish.percent is not None else before + wish.by
        now = self._loudness.change(context.conversation, wanted)
        return ToolResult(_tell(before, now, wanted))


def _tell(before: int, now: int, wanted: int) -> str:
    if now == before:
        if now == 100:
            return "I speak as loudly as I can already, at 100 percent."
        return "I am silent already." if now == 0 else f"The volume is at {now} percent already."
    if now == 0:
        return "I am silent now. Write louder to bring me back."
    most = ", and that is as loud as I can speak" if now == 100 and wanted > 100 else ""
    return f"The volume is {now} percent now{most}."


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    if services.loudness is None:
        raise ToolOffError("nothing speaks here")
    return Volume(services.loudness)
