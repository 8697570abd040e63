"""The sizes of the network, apart from torch: the export needs no more."""

from __future__ import annotations

from dataclasses import dataclass

NORM_EPS = 1e-5
ROPE_BASE = 10000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network. ``width`` is a multiple of 32 and of ``heads``, for Q8_0 blocks."""

    vocabulary: int
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 4
    hidden: int = 704
    context: int = 2048

    @property
    def head(self) -> int:
        """Width of one head."""
        return self.width // self.heads
