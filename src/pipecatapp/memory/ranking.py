"""Which facts fit a query best: their words and their meaning, weighed against each other."""

from __future__ import annotations

import numpy as np

from pipecatapp.memory.index import Floats, VectorIndex
from pipecatapp.memory.keywords import KeywordIndex

# Both parts run from 0 to 1 on a scale that does not depend on the other facts, so they can be added. The weights are a
# compromise between the two invented corpora of testing/fakes/memory_corpus.py (scripts/bench memory --tune).
MEANING = 0.6
# What was kept just before or after often says what a fact is about: the share that it has of its neighbour's fit.
CONTEXT = 0.2
# So many of either kind are weighed.
_POOL = 50
# Below this a fact has nothing to do with the query: 19 of 20 right ones lie above, most small talk below.
NOTHING_FITS = 0.33
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
    context: float = CONTEXT,
) -> list[tuple[int, float]]:
    """The best facts and their scores, 0 to 1, the best first.

    ``vector`` is that of the query, None when there is none: then words alone decide, as they do for a fact that has no
    vector yet. ``all_that_match`` keeps facts that fit badly too, as a person who searches expects.
    """
    by_words = keywords.scores(query)
    pool = max(_POOL, limit)
    candidates = dict.fromkeys(by_words.best(pool))
    likeness_of: dict[int, float] = {}
    if vector is not None:
        near, cosines = vectors.near(vector, pool)
        likeness_of = dict(zip(near.tolist(), cosines.tolist(), strict=True))
        candidates.update(dict.fromkeys(near[:pool].tolist()))
    for fact_id in list(candidates):
        candidates.update(dict.fromkeys(near_by for near_by in (fact_id - 1, fact_id + 1) if near_by in keywords))
    ids = list(candidates)
    words = by_words.of(ids)
    own, floors = words, np.full(len(ids), NO_WORDS_FIT, np.float32)
    if vector is not None:
        unknown = [fact_id for fact_id in ids if fact_id not in likeness_of and fact_id in vectors]
        likeness_of.update(zip(unknown, vectors.cosines(vector, unknown).tolist(), strict=True))
        likeness = np.array([likeness_of.get(fact_id, np.nan) for fact_id in ids], np.float32)
        embedded = ~np.isnan(likeness)
        meant = meaning * np.clip(likeness, 0.0, 1.0) + (1 - meaning) * words
        own = np.where(embedded, meant, words)
        floors = np.where(embedded, np.float32(NOTHING_FITS), floors)
    fit_of = dict(zip(ids, own.tolist(), strict=True))
    beside = np.array([max(fit_of.get(fact_id - 1, 0.0), fit_of.get(fact_id + 1, 0.0)) for fact_id in ids], np.float32)
    fits = np.minimum(own + context * beside, 1.0)
    # Of equals the newer.
    order = sorted(range(len(ids)), key=lambda place: (-fits[place], -ids[place]))
    kept = [place for place in order if (all_that_match and own[place] > 0) or fits[place] >= floors[place]]
    return [(ids[place], float(fits[place])) for place in kept[:limit]]
