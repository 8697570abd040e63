"""What a picture and a thing in it are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

# Rows, columns, blue-green-red: as OpenCV has it.
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that was found: ``box`` is left, top, right, bottom in pixels; ``kind`` its number in the model."""

    label: str
    kind: int
    score: float
    box: tuple[int, int, int, int]


class Detector(Protocol):
    """Finds things in pictures."""

    @property
    def name(self) -> str:
        """What the page calls it."""

    def detect(self, picture: Picture) -> list[Thing]:
        """The things in it, the surest first. Blocks for as long as it takes."""
