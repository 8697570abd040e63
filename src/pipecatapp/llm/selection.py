"""Which main models an engine may load here, best first; the starter model stands at the end."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.catalogue import Catalogue, Model, installed_variant
from pipecatapp.llm.engine import ModelFile
from pipecatapp.llm.gguf import split_parts, whole_name
from pipecatapp.machine import Machine

logger = logging.getLogger(__name__)

STARTER = "starter"
# Installed beside the program's own Python environment; in a checkout at the top of the repository.
STARTER_PLACES = (
    Path(sys.prefix).parent / "share/models/starter.gguf",
    Path(__file__).resolve().parents[3] / "models/starter.gguf",
)


def starter_file(models: Path) -> Path | None:
    """The starter model: a person's own in the models folder, else the installed one, else the checkout's."""
    return next((path for path in (models / "starter.gguf", *STARTER_PLACES) if path.is_file()), None)


def main_models(wanted: str, catalogue: Catalogue, models: Path, machine: Machine) -> list[ModelFile]:
    """The files to try for ``LLM_MODEL=wanted``: ``auto``, ``starter``, a name of the catalogue or a path to a GGUF.

    Raises:
        ConfigurationError: nothing can be loaded, or the name or path does not exist.
    """
    chosen: list[ModelFile]
    if wanted == STARTER:
        chosen = []
    elif wanted == "auto":
        suiting = catalogue.suiting("main", machine)
        asked = [model for model in catalogue.of("main") if model.fits(machine) and model not in suiting]
        chosen = [file for model in [*suiting, *asked] if (file := _installed(models, model))]
    elif wanted.endswith(".gguf"):
        chosen = [_find_file(Path(wanted), wanted)]
    else:
        file = _installed(models, catalogue.find(wanted).model)
        if file is None:
            logger.warning("LLM_MODEL=%s is not here yet; run: pipecatapp models pull %s", wanted, wanted)
        chosen = [file] if file else []
    starter = starter_file(models)
    if starter:
        chosen.append(ModelFile(starter, STARTER))
    if not chosen:
        raise ConfigurationError("there is no model to start; run: pipecatapp models pull --for-this-pc")
    return chosen


def _find_file(path: Path, wanted: str) -> ModelFile:
    """The model of a path; of one in parts any part may be named, and all must be there.

    Raises:
        ConfigurationError: a file is not there.
    """
    parts = split_parts(path)
    missing = [part.name for part in parts if not part.is_file()]
    if missing and len(parts) == 1:
        raise ConfigurationError(f"LLM_MODEL={wanted}: there is no such file")
    if missing:
        raise ConfigurationError(
            f"LLM_MODEL={wanted}: the model has {len(parts)} parts, and these are not in {path.parent}: "
            f"{', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''}"
        )
    return ModelFile(parts[0], whole_name(path))


def _installed(models: Path, model: Model) -> ModelFile | None:
    variant = installed_variant(models, model)
    return ModelFile(models / model.name / variant.files[0].name, model.name, model.context) if variant else None
