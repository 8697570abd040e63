"""The texts of testing/data/spoken_texts.jsonl, and the words that a voice must say for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parents[1] / "data" / "spoken_texts.jsonl"


@dataclass(frozen=True, slots=True)
class SpokenText:
    """An answer as a model writes it, and the words of it."""

    kind: str
    written: str
    spoken: str


def spoken_texts() -> list[SpokenText]:
    """All of them."""
    return [SpokenText(**json.loads(line)) for line in _FILE.read_text().splitlines()]
