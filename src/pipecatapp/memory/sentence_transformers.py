"""Sentences as vectors by any model of sentence-transformers (extra; brings torch, which needs a newer CPU)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipecatapp.errors import ConfigurationError
from pipecatapp.memory.index import Floats

# The one that MiniLM without torch is too.
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceTransformersEmbedder:
    """Loads the model when it is first asked.

    Args:
        name: of a model on the hub, or a folder.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._model: Any = None

    async def load(self) -> None:
        """Import torch and read the model.

        Raises:
            ConfigurationError: the model cannot be loaded.
        """
        await self.embed(["good morning"])

    async def embed(self, texts: Sequence[str]) -> Floats:
        """One row for each text, of length one.

        Raises:
            ConfigurationError: the model cannot be loaded.
        """
        return await asyncio.to_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> Floats:
        with self._lock:
            if self._model is None:
                self._model = self._load()
            rows = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, dtype=np.float32)

    def _load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer

            return SentenceTransformer(self._name, device="cpu")
        except Exception as error:  # torch, the hub and the model's own code raise what they like
            raise ConfigurationError(
                f"the embedding model {self._name} cannot be loaded ({error}); "
                "set EMBEDDING_SERVICE=sentence-transformers:FOLDER, or EMBEDDING_SERVICE=auto"
            ) from error
