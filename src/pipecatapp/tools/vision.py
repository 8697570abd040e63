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
        eyes: the camera and what understands its pictures.
    """

    spec = ToolSpec(
        name="vision.get_observation",
        description="What the camera sees now: people and things in front of it.",
        # A look on a Core 2, then a description by a model that sees.
        timeout_s=40.0,
    )

    def __init__(self, eyes: Vision) -> None:
        self._eyes = eyes
        # Such a model also reads aloud what somebody holds before the camera.
        self.spec = replace(self.spec, untrusted=eyes.describes)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Look."""
        sight = await self._eyes.look(context.words)
        return ToolResult(sight.text, detail="\n".join(part for part in (sight.by, sight.note) if part))


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Observation(services.eyes)
