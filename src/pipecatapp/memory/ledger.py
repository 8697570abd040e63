"""The facts in memory: what the records add up to, and which facts say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipecatapp.memory.records import Embedded, FactAdded, Forgotten, Merged, Record, StoredFact, said_again

_WORDS = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


def same_words(text: str) -> str:
    """What is left of a sentence without case, accents, punctuation and articles: equal for duplicates.

    Nothing more is ignored on purpose: "on Thursday" and "on Friday" are near to each other in any embedding and are
    two different facts.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(word for word in _WORDS.findall(kept) if word not in _ARTICLES)


@dataclass(frozen=True, slots=True)
class Change:
    """What a record did to the set of facts that can be recalled."""

    added: StoredFact | None = None
    removed: Sequence[int] = ()


class Ledger:
    """All facts, those that were corrected too. Tolerates records of facts that it does not know."""

    def __init__(self) -> None:
        self.next_id = 1
        self._facts: dict[int, StoredFact] = {}
        self._live: dict[int, StoredFact] = {}
        # Also of facts that are not read yet: a compacted file holds them in the order of their ids.
        self._superseded: set[int] = set()
        self._by_words: dict[str, int] = {}

    def __len__(self) -> int:
        """How many facts can be recalled."""
        return len(self._live)

    def get(self, fact_id: int) -> StoredFact | None:
        """The fact, when it is known and was not superseded."""
        return self._live.get(fact_id)

    @property
    def known(self) -> int:
        """How many facts there are, their history included."""
        return len(self._facts)

    def facts(self) -> Iterator[StoredFact]:
        """The facts that can be recalled, oldest first."""
        return iter(self._live.values())

    def everything(self) -> Iterator[StoredFact]:
        """The facts and their history, oldest first."""
        return iter(self._facts.values())

    def history(self, fact_id: int) -> list[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        found: dict[int, StoredFact] = {}
        ahead = [fact_id]
        while ahead:
            fact = self._facts.get(ahead.pop())
            for old in fact.supersedes if fact else ():
                if old in self._facts and old not in found and old != fact_id:
                    found[old] = self._facts[old]
                    ahead.append(old)
        return sorted(found.values(), key=lambda fact: fact.id, reverse=True)

    def same_as(self, text: str) -> StoredFact | None:
        """The fact that says the same in the same words, if there is one."""
        fact_id = self._by_words.get(same_words(text))
        return None if fact_id is None else self.get(fact_id)

    def apply(self, record: Record) -> Change:
        """Let the record happen."""
        match record:
            case FactAdded(fact=fact):
                return self._keep(fact)
            case Merged(into=into, dropped=dropped, at=at):
                target = self._facts.get(into)
                if target is None:
                    return Change()
                known = tuple(old for old in dropped if old in self._live and old != into)
                self._update(said_again(target, known, at))
                return Change(removed=self._supersede(known, into))
            case Forgotten(ids=ids):
                return self._forget(ids)
            case Embedded():
                return Change()

    def _keep(self, fact: StoredFact) -> Change:
        self.next_id = max(self.next_id, fact.id + 1)
        self._facts[fact.id] = fact
        removed = self._supersede(fact.supersedes, fact.id)
        if fact.id in self._superseded:
            return Change(removed=removed)
        self._live[fact.id] = fact
        self._by_words[same_words(fact.text)] = fact.id
        return Change(added=fact, removed=removed)

    def _update(self, fact: StoredFact) -> None:
        self._facts[fact.id] = fact
        if fact.id in self._live:
            self._live[fact.id] = fact

    def _supersede(self, olds: Sequence[int], by: int) -> list[int]:
        removed = []
        for old in olds:
            if old == by:
                continue
            self._superseded.add(old)
            if fact := self._live.pop(old, None):
                self._drop_words(fact)
                removed.append(old)
        return removed

    def _forget(self, ids: Sequence[int]) -> Change:
        removed = []
        for fact_id in ids:
            if fact_id not in self._facts:
                continue
            for gone in [fact_id, *(fact.id for fact in self.history(fact_id))]:
                del self._facts[gone]
                self._superseded.discard(gone)
                if (live := self._live.pop(gone, None)) is not None:
                    self._drop_words(live)
                    removed.append(gone)
        return Change(removed=removed)

    def _drop_words(self, fact: StoredFact) -> None:
        words = same_words(fact.text)
        if self._by_words.get(words) == fact.id:
            del self._by_words[words]
