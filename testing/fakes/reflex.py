"""A reflex whose every decision the test wrote down; it notes the dialogue that it was shown."""

from __future__ import annotations

from pipecatapp.intents import Dialogue, Intent


class ScriptedReflex:
    """``ports.Reflex`` that gives the intents one after the other, then leaves everything to the mind."""

    def __init__(self, *intents: Intent) -> None:
        self._intents = list(intents)
        self.shown: list[Dialogue] = []
        self.tools: frozenset[str] = frozenset()

    async def decide(self, words: str, dialogue: Dialogue) -> Intent:
        self.shown.append(dialogue)
        return self._intents.pop(0) if self._intents else Intent("mind")
