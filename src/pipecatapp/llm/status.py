"""What the engine's supervisor says of itself, in one small file that another process can show."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from pipecatapp.storage.atomic import replace_file

# Beside the status, by another process.
PREPARATION = "prepare.json"

EngineState = Literal["stopped", "preparing", "loading", "ready", "restarting", "failed"]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The state of one engine.

    Attributes:
        state: ``preparing`` fetches or unpacks an engine, ``loading`` waits for the first completion,
            ``restarting`` waits out a back-off, ``failed`` needs a person.
        reason: a sentence for that person.
        progress: 0 to 1 while something with a known end is under way.
        engine: where the engine comes from (``path``, ``debian-...``, ``native-...``).
        model: the alias of the loaded model.
        pid: the llama-server.
        supervisor_pid: the process that looks after it and writes this.
        url: its OpenAI base URL.
        key_file: the file with its API key.
        build: what the background build does, empty when none runs.
        build_progress: 0 to 1 of that build.
        restarts: how often the engine was started again.
    """

    state: EngineState
    reason: str = ""
    progress: float | None = None
    engine: str = ""
    model: str = ""
    pid: int | None = None
    supervisor_pid: int | None = None
    url: str = ""
    key_file: str = ""
    build: str = ""
    build_progress: float | None = None
    restarts: int = 0

    @property
    def ready(self) -> bool:
        """Whether the engine has answered a completion and is up."""
        return self.state == "ready"


def write_status(path: Path, status: EngineStatus) -> None:
    """Replace the file at once: a reader sees the old or the new state, never half of one."""
    replace_file(path, json.dumps(asdict(status)), 0o640)


def write_preparation(path: Path, doing: str, progress: float | None, *, over: bool = False) -> None:
    """Say beside the status at ``path`` what ``pipecatapp engine prepare`` or ``build`` does, or how it ended."""
    report = {"doing": doing, "progress": progress, "pid": None if over else os.getpid()}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path.with_name(PREPARATION), json.dumps(report), 0o640)


def read_preparation(path: Path) -> tuple[str, float | None]:
    """What is prepared now, or how that ended; empty where nothing is known, or it was cut off."""
    try:
        report = json.loads(path.with_name(PREPARATION).read_text())
        doing, progress, pid = str(report["doing"]), report["progress"], report["pid"]
    except (OSError, ValueError, TypeError, KeyError):
        return "", None
    if pid is not None and not alive(int(pid)):
        return "", None
    return doing, progress


def read_status(path: Path) -> EngineStatus | None:
    """The last state written, None where there is none; ``stopped`` when its writer is no longer alive."""
    try:
        data = json.loads(path.read_text())
        known = {field.name for field in fields(EngineStatus)}
        status = EngineStatus(**{key: value for key, value in data.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if not status.build:
        doing, progress = read_preparation(path)
        status = replace(status, build=doing, build_progress=progress)
    if status.supervisor_pid and status.state != "stopped" and not alive(status.supervisor_pid):
        return replace(
            status, state="stopped", reason="the engine's supervisor is not running", progress=None, pid=None
        )
    return status


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
