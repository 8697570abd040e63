"""``vision.get_observation``: what the camera sees now, as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.ports import Tool, ToolContext, Vision
from pipecatapp.tools.registry import ToolServices


class Observation:
    """Looks, and says what is there.

    Args:
        vision: the camera and what understands its pictures.
    """

    spec = ToolSpec(
        name="vision.get_observation",
        description="What the camera sees now: people and things in front of it.",
        # A look on a Core 2, then a description by a model that sees.
        timeout_s=40.0,
    )

    def __init__(self, vision: Vision) -> None:
        self._vision = vision
        # Such a model also reads aloud what somebody holds before the camera.
        self.spec = replace(self.spec, untrusted=vision.describes)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Look."""
        answer = await self._vision.look(context.words)
        return ToolResult(answer.text, detail="\n".join(part for part in (answer.by, answer.note) if part))


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Observation(services.vision)
