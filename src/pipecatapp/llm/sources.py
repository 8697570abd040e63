"""Where a llama-server comes from: the PATH, a build for this CPU, Debian's packages; the first that runs here."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.llm import debian, native
from pipecatapp.llm.engines import Engine, Progress, load_pins
from pipecatapp.machine import Machine

logger = logging.getLogger(__name__)


def silent(doing: str, progress: float | None) -> None:
    """A progress callback for callers who show none."""


def present_engine(engines: Path, machine: Machine) -> Engine | None:
    """The engine that would be started now, without fetching anything.

    A build for this CPU comes before Debian's packages: it is there because it is faster.
    """
    on_path = shutil.which("llama-server")
    candidates = [
        Engine("path", [on_path]) if on_path else None,
        native.installed(engines, load_pins()[1], machine),
        debian.installed(engines),
    ]
    for engine in filter(None, candidates):
        try:
            engine.run("--version")
        except EngineError as error:
            # A binary made for another CPU dies with SIGILL; the next source is as good.
            logger.warning("passing over the engine %s: %s", engine.name, error)
        else:
            return engine
    return None


def find_engine(engines: Path, machine: Machine, progress: Progress = silent) -> Engine:
    """The engine to start, fetched from Debian's mirror when none is there.

    Raises:
        EngineError: none is there and none can be fetched.
    """
    return present_engine(engines, machine) or debian.fetch(engines, load_pins()[0], progress)
