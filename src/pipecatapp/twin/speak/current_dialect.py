"""Asks the model how it wants to be spoken to, and remembers it for the time that it is away."""

from __future__ import annotations

import logging

from pipecatapp.errors import ModelError
from pipecatapp.ports import ChatModel, ModelProfile
from pipecatapp.twin.speak.dialect import Dialect, FullDialect, dialect_of

logger = logging.getLogger(__name__)


class CurrentDialect:
    """The dialect of the agent's own model, which another one may take the place of at any time.

    Args:
        model: is asked.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.last: Dialect = FullDialect(ModelProfile("", 4096))

    async def now(self) -> Dialect:
        """That of the model that answers now.

        Raises:
            ModelError: there is none.
        """
        self.last = dialect_of(await self._model.profile())
        return self.last

    async def now_or_last(self) -> Dialect:
        """The same, or the last one known: what was decided is done while the engine sleeps too."""
        try:
            return await self.now()
        except ModelError as error:
            logger.info("the model is not there (%s); going on without it", error)
        return self.last
