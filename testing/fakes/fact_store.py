"""A notebook in memory that finds facts by their words, as the real one does without an embedding model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipecatapp.domain import Fact, Turn
from pipecatapp.errors import StorageError
from pipecatapp.memory.keywords import KeywordIndex


class ListedNotebook:
    """``ports.FactStore``. ``broken``: the disk refuses."""

    def __init__(self, *texts: str) -> None:
        self.facts: dict[str, Fact] = {}
        self.turns: dict[str, str] = {}
        self.broken = False
        self._words = KeywordIndex()
        for text in texts:
            self._keep(text, "note", "")

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def texts(self) -> list[str]:
        return [fact.text for fact in self.facts.values()]

    async def recall(self, query: str, limit: int = 3) -> list[Fact]:
        return [fact for fact in await self.search(query) if fact.score >= 0.5][:limit]

    async def search(self, query: str, limit: int = 50) -> list[Fact]:
        scores = self._words.scores(query)
        found = [str(number) for number in scores.best(limit)]
        return [
            replace(self.facts[name], score=float(score))
            for name, score in zip(found, scores.of(map(int, found)), strict=True)
        ]

    async def finish_forgetting(self) -> None:
        """Nothing was repeated."""

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        raise AssertionError("tools keep no turns")

    async def add(self, text: str, *, kind: str = "note", turn: str = "") -> Fact:
        if self.broken:
            raise StorageError("cannot write to the memory: no space left; free some disk space")
        return self._keep(text, kind, turn)

    async def newest(self, limit: int) -> list[str]:
        return self.texts[::-1][:limit]

    async def latest(self, turns: Sequence[str]) -> Fact | None:
        found = [name for name in self.facts if self.turns[name] in turns]
        return self.facts[found[-1]] if found else None

    async def forget(self, fact_ids: Iterable[str]) -> list[Fact]:
        gone = [self.facts.pop(name) for name in list(fact_ids) if name in self.facts]
        for fact in gone:
            self._words.remove(int(fact.id))
        return gone

    def _keep(self, text: str, kind: str, turn: str) -> Fact:
        fact = Fact(str(len(self.turns) + 1), text, kind=kind)
        self.facts[fact.id], self.turns[fact.id] = fact, turn
        self._words.add(int(fact.id), text)
        return fact
