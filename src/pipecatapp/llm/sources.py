"""Where a llama-server comes from: the PATH, a build for this CPU, Debian's packages; the first that runs here."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
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

    A build for this CPU comes before Debian's packages: it is there because it is faster. One of an older release is
    better than none.
    """
    on_path = shutil.which("llama-server")
    pin = load_pins()[1]
    candidates = [
        Engine("path", [on_path]) if on_path else None,
        native.installed(engines, pin, machine),
        debian.installed(engines),
        *native.older(engines, pin, machine),
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


def find_engine(engines: Path, machine: Machine, progress: Progress = silent, packages: Iterable[str] = ()) -> Engine:
    """The engine to start, its Debian packages fetched when none is there.

    Args:
        engines: the folder of engines.
        machine: this PC.
        progress: told what is being done.
        packages: folders and URLs to ask for the packages before Debian's mirrors.

    Raises:
        EngineError: none is there and none can be fetched.
    """
    return present_engine(engines, machine) or debian.fetch(engines, load_pins()[0], progress, packages)


def prepare(engines: Path, machine: Machine, progress: Progress, packages: Iterable[str], *, build: bool) -> Engine:
    """Have an engine here: what is there, else Debian's, else one that is built here.

    ``build`` wants one for this CPU beside it; where that fails, the other goes on.

    Raises:
        EngineError: there is none, and none can be had.
    """
    try:
        engine = find_engine(engines, machine, progress, packages)
    except EngineError as error:
        logger.warning("no engine can be fetched (%s), building one", error)
        return native.build(engines, load_pins()[1], machine, progress)
    if build and not engine.name.startswith(("path", native.folder_name(load_pins()[1], machine))):
        try:
            return native.build(engines, load_pins()[1], machine, progress)
        except EngineError as error:
            logger.warning("no engine for this CPU: %s", error)
            progress(f"no engine for this CPU could be built: {error}", None)
    return engine
