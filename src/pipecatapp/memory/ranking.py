"""Which facts fit a query best: their words and their meaning, weighed against each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipecatapp.memory.index import Floats, VectorIndex
from pipecatapp.memory.keywords import KeywordIndex

# Words and meaning run from 0 to 1 on a scale that does not depend on the other facts, so they can be added. Whether a
# fact fits at all: a compromise between the two invented corpora of testing/fakes/memory_corpus.py.
_MEANING_OF_FIT, _CONTEXT_OF_FIT = 0.6, 0.2
# In which order those that fit come: what was kept just before or after often says what a fact is about, so the better
# neighbour's fit counts, and that of the next by half. Chosen on three of LoCoMo's ten conversations, the others are
# held out (scripts/bench memory --data).
MEANING, CONTEXT = 0.5, 0.4
_NEIGHBOURS = (-2, -1, 1, 2)
# So many of either kind are weighed, or thrice what is asked for.
_POOL = 30
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
    """The best facts, best first, each with how well it fits by itself, 0 to 1.

    ``vector`` is that of the query, None when there is none: then words alone decide, as they do for a fact that has no
    vector yet. ``all_that_match`` keeps facts that fit badly too, as a person who searches expects.
    """
    by_words = keywords.scores(query)
    pool = max(_POOL, 3 * limit)
    candidates = dict.fromkeys(by_words.best(pool))
    likeness_of: dict[int, float] = {}
    if vector is not None:
        near, cosines = vectors.near(vector, pool)
        likeness_of = dict(zip(near.tolist(), cosines.tolist(), strict=True))
        candidates.update(dict.fromkeys(near[:pool].tolist()))
    for fact_id in list(candidates):
        beside = [fact_id + step for step in _NEIGHBOURS]
        candidates.update(dict.fromkeys(neighbour for neighbour in beside if neighbour in keywords))
    ids = list(candidates)
    words = by_words.of(ids)
    own = placed = words
    floors = np.full(len(ids), NO_WORDS_FIT, np.float32)
    if vector is not None:
        unknown = [fact_id for fact_id in ids if fact_id not in likeness_of and fact_id in vectors]
        likeness_of.update(zip(unknown, vectors.cosines(vector, unknown).tolist(), strict=True))
        likeness = np.array([likeness_of.get(fact_id, np.nan) for fact_id in ids], np.float32)
        embedded = ~np.isnan(likeness)
        likeness = np.clip(likeness, 0.0, 1.0)
        own = np.where(embedded, _MEANING_OF_FIT * likeness + (1 - _MEANING_OF_FIT) * words, words)
        placed = np.where(embedded, meaning * likeness + (1 - meaning) * words, words)
        floors = np.where(embedded, np.float32(NOTHING_FITS), floors)
    fits = np.minimum(own + _CONTEXT_OF_FIT * _around(ids, own, 1), 1.0)
    places = placed + context * (_around(ids, placed, 1) + _around(ids, placed, 2) / 2)
    # Of equals the newer.
    order = np.lexsort((-np.array(ids, np.int64), -places)).tolist()
    kept = [place for place in order if (all_that_match and own[place] > 0) or fits[place] >= floors[place]]
    return [(ids[place], float(fits[place])) for place in kept[:limit]]


def _around(ids: Sequence[int], fits: Floats, step: int) -> Floats:
    """The better fit of the two facts so many steps before and after each; 0 where there are none."""
    fit_of = dict(zip(ids, fits.tolist(), strict=True))
    better = [max(fit_of.get(fact_id - step, 0.0), fit_of.get(fact_id + step, 0.0)) for fact_id in ids]
    return np.array(better, np.float32)
