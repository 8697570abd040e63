"""Decoding and suppression against straightforward references."""

from __future__ import annotations

import numpy as np
import pytest

from pipecatapp.vision.boxes import CANDIDATES, Floats, Indices, decode, suppress

pytestmark = pytest.mark.unit

OVERLAP = 0.45


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
    return shared / union if union > 0 else 0.0


def reference(boxes: Floats, scores: Floats, kinds: Indices, overlap: float) -> list[int]:
    """Box after box, the surest first; one that is too much like an earlier one of its class goes."""
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        alike = (other for other in kept if kinds[other] == kinds[index])
        if all(iou(boxes[index].tolist(), boxes[other].tolist()) <= overlap for other in alike):
            kept.append(index)
    return kept


@pytest.mark.parametrize("seed", range(60))
def test_suppression_is_that_of_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 120))
    corner = rng.uniform(0, 60, (count, 2))
    # Whole numbers: both sides compute exactly the same areas.
    boxes = np.concatenate([corner, corner + rng.uniform(0, 40, (count, 2))], axis=1).round().astype(np.float32)
    scores = rng.choice([0.5, 0.6, 0.7, 0.9, *rng.uniform(0.3, 1, 20)], count).astype(np.float32)
    kinds = rng.integers(0, 3, count)
    assert suppress(boxes, scores, kinds, OVERLAP).tolist() == reference(boxes, scores, kinds, OVERLAP)


def test_decoding_gives_corners_scores_and_classes_the_surest_first() -> None:
    output = np.zeros((4 + 2, 4), np.float32)
    output[:4] = np.array([[50, 60, 20, 10], [10, 10, 4, 4], [100, 100, 8, 2], [0, 0, 2, 2]]).T
    output[4:] = np.array([[0.1, 0.6], [0.2, 0.1], [0.9, 0.3], [0.35, 0.0]]).T
    boxes, scores, kinds = decode(output, 0.35)
    assert boxes.tolist() == [[96, 99, 104, 101], [40, 55, 60, 65], [-1, -1, 1, 1]]
    assert scores.tolist() == pytest.approx([0.9, 0.6, 0.35])
    assert kinds.tolist() == [0, 1, 0]


def test_what_is_no_number_is_no_thing() -> None:
    output = np.full((6, 3), np.nan, np.float32)
    output[:, 1] = np.inf
    output[:4, 2], output[4:, 2] = 10, 0.9
    assert decode(output, 0.3)[0].tolist() == [[5, 5, 15, 15]]


def test_the_candidates_are_bounded_and_the_surest_are_kept() -> None:
    scores = np.linspace(0.4, 1.0, 5000, dtype=np.float32)
    output = np.concatenate([np.ones((4, 5000), np.float32), scores[None]])
    kept = decode(output, 0.35)[1]
    assert len(kept) == CANDIDATES
    assert kept.min() == pytest.approx(scores[-CANDIDATES])
