"""``EMBEDDING_SERVICE``: by name, and never silently something else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError, MissingExtraError, UnknownChoiceError
from pipecatapp.memory.embedding import FILES, MODEL_NAME, Embedder
from pipecatapp.memory.registry import create_embedding

pytestmark = pytest.mark.unit


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with files of the right names."""
    (tmp_path / MODEL_NAME).mkdir()
    for name in FILES:
        (tmp_path / MODEL_NAME / name).write_bytes(b"x")
    return tmp_path


def test_auto_is_minilm_where_its_model_lies(models: Path) -> None:
    embedding = create_embedding("auto", models)
    assert isinstance(embedding.embedder, Embedder)
    assert embedding.model == MODEL_NAME


@pytest.mark.parametrize("missing", FILES)
def test_auto_is_words_alone_elsewhere(models: Path, missing: str) -> None:
    (models / MODEL_NAME / missing).unlink()
    assert create_embedding("auto", models).embedder is None


def test_none_is_words_alone(models: Path) -> None:
    assert create_embedding("none", models).embedder is None


def test_minilm_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pipecatapp models pull all-minilm-l6-v2"):
        create_embedding("minilm", tmp_path)


@pytest.mark.parametrize("name", ["word2vec", "minilm:other", "none:x", ":", ""])
def test_an_unknown_name_lists_the_choices(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownChoiceError, match=r"auto, minilm, none, sentence-transformers"):
        create_embedding(name, tmp_path)


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the extra is installed here")
@pytest.mark.parametrize("name", ["sentence-transformers", "sentence-transformers:BAAI/bge-small-en-v1.5"])
def test_a_missing_extra_says_how_to_install_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingExtraError, match="pipecatapp extras install sentence-transformers"):
        create_embedding(name, tmp_path)
