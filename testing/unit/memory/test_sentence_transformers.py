"""The extra ``sentence-transformers``: its package is replaced by one that does as little as is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.memory.registry import create_embedding

pytestmark = pytest.mark.unit

PACKAGE = """
class SentenceTransformer:
    def __init__(self, name, *, device):
        if name == "absent":
            raise OSError("it is neither here nor on the hub")
        assert device == "cpu"
        self.name = name

    def encode(self, texts, *, normalize_embeddings, show_progress_bar):
        assert normalize_embeddings and not show_progress_bar
        return [[1.0, 0.0] if "key" in text else [0.0, 1.0] for text in texts]
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sentence_transformers").mkdir()
    (tmp_path / "sentence_transformers/__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("sentence_transformers", None)


async def test_another_model_is_named_behind_a_colon(tmp_path: Path) -> None:
    embedding = create_embedding("sentence-transformers:my/model", tmp_path)
    assert embedding.model == "sentence-transformers:my/model"
    assert embedding.embedder is not None
    assert "sentence_transformers" not in sys.modules  # not before it is needed
    await embedding.embedder.load()
    rows = await embedding.embedder.embed(["the key", "the dog"])
    assert rows.dtype == np.float32
    assert rows.tolist() == [[1.0, 0.0], [0.0, 1.0]]


async def test_a_model_that_cannot_be_loaded_says_what_to_do(tmp_path: Path) -> None:
    embedding = create_embedding("sentence-transformers:absent", tmp_path)
    assert embedding.embedder is not None
    with pytest.raises(ConfigurationError, match=r"neither here nor on the hub.*EMBEDDING_SERVICE"):
        await embedding.embedder.embed(["the key"])


def test_its_default_is_the_model_that_minilm_is(tmp_path: Path) -> None:
    assert create_embedding("sentence-transformers", tmp_path).model.endswith("/all-MiniLM-L6-v2")
