"""The reflex, loaded in the background at start, and the household's own commands."""

from __future__ import annotations

import asyncio
import logging

from pipecatapp.parts import Part
from pipecatapp.paths import commands_file
from pipecatapp.reflex.command_file import CommandFile
from pipecatapp.reflex.network import Meaning
from pipecatapp.reflex.reflex import TrainedReflex
from pipecatapp.settings import Settings

logger = logging.getLogger(__name__)


class ReflexPart(Part):
    """Decides what a request wants; until its file is read, the model does.

    Args:
        reflex: decides.
        trained: read its file; without it only the household's own commands are known.
    """

    def __init__(self, reflex: TrainedReflex, *, trained: bool) -> None:
        self.reflex = reflex
        self._trained = trained
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the trained file in the background."""
        if self._trained:
            self._loading = asyncio.create_task(self._load(), name="load the reflex")

    async def stop(self) -> None:
        """Stop waiting for it."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(self.reflex.load)
        except (OSError, ValueError, KeyError):
            logger.exception("the reflex cannot be read; the model decides every request")


def create(settings: Settings, meaning: Meaning) -> ReflexPart:
    """The reflex; ``meaning``: the vector of a word."""
    return ReflexPart(TrainedReflex(meaning, CommandFile(commands_file(settings))), trained=settings.reflex)
