"""The options with which a benchmark takes a real language model, and the file that they name."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.catalogue import Catalogue, installed_variant
from pipecatapp.llm.selection import STARTER, main_models, starter_file
from pipecatapp.machine import detect
from pipecatapp.paths import models_file
from pipecatapp.settings import Settings, load_settings
from testing.engine_node import ENGINES


def add_model_options(parser: argparse.ArgumentParser, *, kinds: bool = False) -> None:
    """``--model``, ``--models-folder`` and ``--engines``; with ``kinds`` also ``--models starter|real``."""
    parser.add_argument("--model", default=STARTER, help="starter, a name of the catalogue or a GGUF")
    parser.add_argument("--models-folder", type=Path, help="where models lie (default: those of this PC)")
    if kinds:
        parser.add_argument(
            "--models", dest="kind", choices=("starter", "real"), default="starter", help="real: the best that is here"
        )
    parser.add_argument(
        "--engines", type=Path, default=ENGINES, help="where engines lie unpacked (default: .cache/engine)"
    )


def file_of(options: argparse.Namespace) -> Path:
    """The file of the model that the options name.

    Raises:
        ConfigurationError: it is not here, or there is no such model.
    """
    settings: Settings = load_settings()
    models: Path = options.models_folder or settings.models
    if options.model.endswith(".gguf"):
        return Path(options.model)
    if options.model == STARTER:
        if (starter := starter_file(models)) is None:
            raise ConfigurationError("the starter model is not here; see src/starter_model/README.md")
        return starter
    model = Catalogue.load(models_file(settings)).find(options.model).model
    variant = installed_variant(models, model)
    if variant is None:
        raise ConfigurationError(f"{model.name} is not in {models}; run: pipecatapp models pull {model.name}")
    return models / model.name / variant.files[0].name


def real_file(options: argparse.Namespace) -> Path:
    """That of the model that the options name, or without a name the best that is here.

    Raises:
        ConfigurationError: there is no real model.
    """
    if options.model != STARTER:
        return file_of(options)
    settings = load_settings()
    models: Path = options.models_folder or settings.models
    best = main_models("auto", Catalogue.load(models_file(settings)), models, detect())[0]
    if best.alias == STARTER:
        raise ConfigurationError(f"there is no real model in {models}; run: pipecatapp models pull --for-this-pc")
    return best.path
