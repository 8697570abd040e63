"""The classifier that hands clear cases to an expert."""

from __future__ import annotations

from pipecatapp.parts import Part
from pipecatapp.paths import prompts_folder
from pipecatapp.routing.classifier import Meanings
from pipecatapp.routing.examples import LearnedRouting
from pipecatapp.settings import Settings


class RoutingPart(Part):
    """The classifier; it learns once it is started."""

    def __init__(self, classifier: LearnedRouting) -> None:
        self.classifier = classifier

    async def start(self) -> None:
        """Learn in the background."""
        self.classifier.start()

    async def stop(self) -> None:
        """Stop waiting for it."""
        await self.classifier.aclose()


def create(settings: Settings, meanings: Meanings | None) -> RoutingPart:
    """The classifier over the examples beside the personas; ``meanings``: rows for sentences, or None.

    Raises:
        ConfigurationError: there are no personas.
    """
    return RoutingPart(LearnedRouting(prompts_folder(settings), meanings))
