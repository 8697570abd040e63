"""An embedding model without weights: texts that share words are near each other. It can fail, and hang."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

import numpy as np

from pipecatapp.errors import ConfigurationError
from pipecatapp.memory.index import Floats
from pipecatapp.memory.keywords import words


class HashEmbedder:
    """Each word has a random direction of its own; a text points where its words do. ``synonyms`` share one."""

    def __init__(self, dimensions: int = 48, *, seed: int = 0, synonyms: dict[str, str] | None = None) -> None:
        self.embedded: list[str] = []
        self.broken = False
        self.hang: asyncio.Event | None = None
        self._dimensions, self._seed = dimensions, seed
        self._synonyms = synonyms or {}
        self._directions: dict[str, Floats] = {}

    async def load(self) -> None:
        if self.broken:
            raise ConfigurationError("the embedding model is not here")

    async def embed(self, texts: Sequence[str]) -> Floats:
        if self.broken:
            raise ConfigurationError("the embedding model is not here")
        if self.hang is not None:
            await self.hang.wait()
        self.embedded += texts
        return self.embed_now(texts)

    def embed_now(self, texts: Sequence[str]) -> Floats:
        rows = np.stack([self._text(text) for text in texts])
        normal: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return normal

    def _text(self, text: str) -> Floats:
        row = np.full(self._dimensions, 1e-3, np.float32)
        for word in words(text):
            row += self._direction(self._synonyms.get(word, word))
        return row

    def _direction(self, word: str) -> Floats:
        if word not in self._directions:
            seed = zlib.crc32(f"{self._seed} {word}".encode())
            self._directions[word] = np.random.default_rng(seed).standard_normal(self._dimensions, np.float32)
        return self._directions[word]
