"""From the raw output of a YOLOv8 to boxes: decoding, and one box for each thing. Plain numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

# More candidates than this are never things: it bounds the time of a look.
CANDIDATES = 300


def decode(output: Floats, least: float) -> tuple[Floats, Floats, Indices]:
    """Boxes (left, top, right, bottom), scores and classes of all candidates from ``least`` on, the surest first.

    ``output`` has a column for each candidate: centre x, centre y, width, height, then a score for each class.
    """
    scores = output[4:].max(axis=0)
    kinds = output[4:].argmax(axis=0)
    # A damaged model may give anything; NaN fails every comparison.
    kept = np.flatnonzero((scores >= least) & np.isfinite(output[:4]).all(axis=0) & np.isfinite(scores))
    kept = kept[np.argsort(-scores[kept], kind="stable")][:CANDIDATES]
    centre, half = output[:2, kept], output[2:4, kept] / 2
    boxes = np.concatenate([centre - half, centre + half]).T
    return boxes.astype(np.float32), scores[kept].astype(np.float32), kinds[kept]


def suppress(boxes: Floats, scores: Floats, kinds: Indices, overlap: float) -> Indices:
    """Non-maximum suppression within each class: the indices that stay, the surest first."""
    order = np.argsort(-scores, kind="stable")
    areas = np.maximum(0, boxes[:, 2] - boxes[:, 0]) * np.maximum(0, boxes[:, 3] - boxes[:, 1])
    stay = []
    while order.size:
        best, rest = order[0], order[1:]
        stay.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(0, high - low), axis=1)
        union = areas[best] + areas[rest] - shared
        same = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0) > overlap
        order = rest[~(same & (kinds[rest] == kinds[best]))]
    return np.array(stay, dtype=np.intp)
