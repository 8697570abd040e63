"""Which facts fit a query best: their words and their meaning, weighed against each other."""

from __future__ import annotations

import numpy as np

from pipecatapp.memory.index import Floats, VectorIndex
from pipecatapp.memory.keywords import KeywordIndex

# Both parts run from 0 to 1 on a scale that does not depend on the other facts, so they can be added. On the corpus of
# testing/fakes/memory_corpus.py this weight finds the right one most often; its neighbours are nearly as good
# (scripts/bench memory --tune).
MEANING = 0.8
# So many of either kind are weighed.
_POOL = 50
# Below this a fact has nothing to do with the query: there, 19 of 20 right ones lie above 0.43, small talk below 0.38.
NOTHING_FITS = 0.35
# Where only words are known: half of what is asked for must be in the fact.
NO_WORDS_FIT = 0.5


def rank(
    query: str,
    vector: Floats | None,
    keywords: KeywordIndex,
    vectors: VectorIndex,
    limit: int,
    *,
    all_that_match: bool = False,
    meaning: float = MEANING,
) -> list[tuple[int, float]]:
    """The best facts and their scores, 0 to 1, the best first.

    ``vector`` is that of the query, None when there is none: then words alone decide, as they do for a fact that has no
    vector yet. ``all_that_match`` keeps facts that fit badly too, as a person who searches expects.
    """
    by_words = keywords.scores(query)
    pool = max(_POOL, limit)
    candidates = dict.fromkeys(by_words.best(pool))
    if vector is not None:
        candidates.update(dict.fromkeys(fact_id for fact_id, _ in vectors.search(vector, pool)))
    ids = list(candidates)
    words = by_words.of(ids)
    fits, floors = words, np.full(len(ids), NO_WORDS_FIT, np.float32)
    if vector is not None:
        embedded = np.array([fact_id in vectors for fact_id in ids], bool)
        likeness = np.clip(vectors.cosines(vector, ids), 0.0, 1.0)
        fits = np.where(embedded, meaning * likeness + (1 - meaning) * words, words)
        floors = np.where(embedded, np.float32(NOTHING_FITS), floors)
    # Of equals the newer.
    order = sorted(range(len(ids)), key=lambda place: (-fits[place], -ids[place]))
    kept = [place for place in order if all_that_match or fits[place] >= floors[place]]
    return [(ids[place], float(fits[place])) for place in kept[:limit]]
