"""What finds memories by meaning, by the name in ``EMBEDDING_SERVICE``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.choices import Choice
from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.memory.embedding import FILES, MODEL_NAME, Embedder
from pipecatapp.memory.sentence_transformers import DEFAULT_MODEL
from pipecatapp.memory.upkeep import TextEmbedder

AUTO, NONE = "auto", "none"
_KIND = "embedding service"


@dataclass(frozen=True, slots=True)
class Embedding:
    """Makes the vectors (None: facts are found by their words alone), and the name that they are stored under."""

    embedder: TextEmbedder | None
    model: str = NONE


def create_embedding(name: str, models: Path) -> Embedding:
    """What ``EMBEDDING_SERVICE=name`` stands for. ``name:MODEL`` is another model, where the service has several.

    Raises:
        UnknownChoiceError: no service has this name.
        MissingExtraError: its package is not installed.
        ConfigurationError: its model is not here.
    """
    service, _, model = name.partition(":")
    if service not in _SERVICES or (model and service not in _WITH_MODELS):
        raise UnknownChoiceError(_KIND, name, [*_SERVICES, *(f"{service}:MODEL" for service in _WITH_MODELS)])
    return _SERVICES[service](model, models)


def _auto(_: str, models: Path) -> Embedding:
    return _minilm("", models) if is_here(models / MODEL_NAME) else Embedding(None)


def _none(_: str, __: Path) -> Embedding:
    return Embedding(None)


def _minilm(_: str, models: Path) -> Embedding:
    folder = models / MODEL_NAME
    if not is_here(folder):
        raise ConfigurationError(
            f"EMBEDDING_SERVICE=minilm: there is no {' and '.join(FILES)} in {folder}; "
            f"run: pipecatapp models pull {MODEL_NAME}"
        )
    return Embedding(Embedder(folder), MODEL_NAME)


def _sentence_transformers(model: str, _: Path) -> Embedding:
    choice = Choice("pipecatapp.memory.sentence_transformers:SentenceTransformersEmbedder", "sentence-transformers")
    choice.need_extra("EMBEDDING_SERVICE=sentence-transformers")
    name = model or DEFAULT_MODEL
    return Embedding(choice.load()(name), f"sentence-transformers:{name}")


def is_here(folder: Path) -> bool:
    """Whether the files of MiniLM lie in this folder."""
    return all((folder / name).is_file() for name in FILES)


_SERVICES: dict[str, Callable[[str, Path], Embedding]] = {
    AUTO: _auto,
    "minilm": _minilm,
    "sentence-transformers": _sentence_transformers,
    NONE: _none,
}
_WITH_MODELS = ("sentence-transformers",)
