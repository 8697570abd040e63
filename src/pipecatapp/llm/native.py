"""llama-server built on this PC for exactly its CPU, from the pinned PyPI sdist of llama-cpp-python.

On a CPU without AVX2 this is two to four times as fast as Debian's build. A binary stays on the PC that built it: it
uses every instruction of this CPU (``GGML_NATIVE``).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from pipecatapp.errors import ConfigurationError, DownloadError, EngineError
from pipecatapp.llm import pip
from pipecatapp.llm.engines import Engine, NativePin, Progress, load_pins
from pipecatapp.llm.index import PackageIndex
from pipecatapp.locks import lock_file
from pipecatapp.machine import CpuClass, Machine, detect
from pipecatapp.storage.atomic import move, replace_file

logger = logging.getLogger(__name__)

CMAKE_OPTIONS: Mapping[str, str] = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "ON",
    "GGML_CCACHE": "OFF",
    "GGML_RPC": "ON",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "ON",
}
# What a compiler of this size of program wants at once, in MB.
MEMORY_PER_JOB = 1200
DISK_NEEDED = 1_500_000_000
# Their lock is requirements/engine-tools.txt.
_TOOLS = "engine-tools"
_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def wanted(machine: Machine) -> bool:
    """Whether a build of its own pays on this PC: Debian's has no fast path below AVX2."""
    return not machine.cpu.at_least(CpuClass.AVX2)


def folder_name(pin: NativePin, machine: Machine) -> str:
    """The name carries all that the binary depends on: source, options and instructions."""
    parts = [pin.sha256, json.dumps(CMAKE_OPTIONS, sort_keys=True), " ".join(sorted(machine.flags))]
    stamp = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
    return f"native-{pin.version}-{machine.cpu}-{stamp}"


def installed(engines: Path, pin: NativePin, machine: Machine) -> Engine | None:
    """The build for this CPU and these options, if it is there."""
    binary = engines / folder_name(pin, machine) / "llama-server"
    return Engine(binary.parent.name, [str(binary)]) if os.access(binary, os.X_OK) else None


def older(engines: Path, pin: NativePin, machine: Machine) -> list[Engine]:
    """Builds of other releases or options for this class of CPU, the newest first."""
    now = folder_name(pin, machine)
    found = [file for file in engines.glob(f"native-*-{machine.cpu}-*/llama-server") if file.parent.name != now]
    found.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    return [Engine(file.parent.name, [str(file)]) for file in found if os.access(file, os.X_OK)]


def build(engines: Path, pin: NativePin, machine: Machine, progress: Progress) -> Engine:
    """Fetch the source, build at the lowest priority, check that it runs. An interrupted build goes on.

    While another process builds, its end is awaited: what it built is taken, and where it failed this one tries.

    Raises:
        EngineError: no compiler, no disk, no source, or the build fails; the text says what to do.
    """
    present = installed(engines, pin, machine)
    if present:
        return present
    work = engines / ".build"
    engines.mkdir(parents=True, exist_ok=True)
    with (engines / ".build.lock").open("w") as lock:
        _wait_for(lock, progress)
        return installed(engines, pin, machine) or _build(engines, work, pin, machine, progress)


def _wait_for(lock: TextIO, progress: Progress) -> None:
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                progress("waiting for another build of an engine", None)
            told = True
            time.sleep(1.0)
        else:
            return


def _build(engines: Path, work: Path, pin: NativePin, machine: Machine, progress: Progress) -> Engine:
    work.mkdir(exist_ok=True)
    _check_disk(work)
    tools = _Tools(work / "tools", pin, progress)
    source = _unpack(_download(work, pin, progress), work / f"source-{pin.version}", progress)
    output = work / folder_name(pin, machine)
    log = engines / "build.log"
    _compile(source, output, tools, _jobs(machine), log, progress)
    target = engines / output.name
    with tempfile.TemporaryDirectory(dir=engines, prefix=".install-") as name:
        tree = Path(name) / "tree"
        tree.mkdir(mode=0o755)
        binary = tree / "llama-server"
        shutil.copy2(output / "bin/llama-server", binary)
        if shutil.which("strip"):
            subprocess.run(["strip", str(binary)], check=False)
        Engine(target.name, [str(binary)]).run("--version")
        stamp = json.dumps({"sdist": pin.sha256, "options": dict(CMAKE_OPTIONS)}, indent=1)
        replace_file(tree / "stamp.json", stamp, 0o644)
        shutil.rmtree(target, ignore_errors=True)
        move(tree, target)
    shutil.rmtree(work, ignore_errors=True)
    progress("the engine for this CPU is built", 1.0)
    return Engine(target.name, [str(target / "llama-server")])


class _Tools:
    """cmake, ninja and a compiler: the system's, or for the first two the wheels."""

    def __init__(self, folder: Path, pin: NativePin, progress: Progress) -> None:
        if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
            raise EngineError("building an engine needs a C++ compiler; run: apt-get install g++")
        self._folder = folder
        missing = [tool for tool in pin.tools if shutil.which(tool) is None and not (folder / "bin" / tool).exists()]
        if missing:
            progress(f"fetching {' and '.join(missing)}", None)
            try:
                # Only wheels, and only those of the lock: nothing is run to install them.
                locked = [
                    "--no-deps",
                    "--only-binary=:all:",
                    "--require-hashes",
                    "--requirement",
                    str(lock_file(_TOOLS)),
                ]
                pip.pip(["install", *locked, "--target", str(folder)], folder.parent)
            except (DownloadError, ConfigurationError) as error:
                raise EngineError(f"building needs {' and '.join(missing)}: {error}") from error

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{os.environ.get('PATH', os.defpath)}:{self._folder / 'bin'}",
            "PYTHONPATH": str(self._folder),
            "LC_ALL": "C",
        }


def _download(work: Path, pin: NativePin, progress: Progress) -> Path:
    file = work / pin.file

    def show(here: int, total: int | None) -> None:
        progress("downloading the source (77 MB)", here / total if total else None)

    try:
        if not (file.is_file() and _sha256(file) == pin.sha256):
            progress("downloading the source (77 MB)", None)
            PackageIndex.of_pip().fetch(pin.package, pin.file, pin.sha256, file, show)
    except DownloadError as error:
        raise EngineError(f"the source of the engine cannot be had: {error}") from error
    return file


def _unpack(archive: Path, target: Path, progress: Progress) -> Path:
    if not target.is_dir():
        progress("unpacking the source", None)
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            # Not tarfile: Debian 12's Python 3.11.2 has no extraction filters.
            subprocess.run(["tar", "-xzf", str(archive), "-C", name, "--no-same-owner"], check=True)
            next(Path(name).iterdir()).rename(target)
    return target / "vendor/llama.cpp"


def _compile(source: Path, output: Path, tools: _Tools, jobs: int, log: Path, progress: Progress) -> None:
    options = [f"-D{key}={value}" for key, value in CMAKE_OPTIONS.items()]
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(output), *options]
    compile_ = ["cmake", "--build", str(output), "--target", "llama-server", "-j", str(jobs)]
    with log.open("w") as file:
        for command in (configure, compile_):
            _logged(command, tools.environment(), file.fileno(), log, progress)


def _logged(command: Sequence[str], environment: Mapping[str, str], log: int, path: Path, progress: Progress) -> None:
    quiet = [*(["ionice", "-c", "3"] if shutil.which("ionice") else []), "nice", "-n", "19", *command]
    try:
        process = subprocess.Popen(
            quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(environment), text=True, errors="replace"
        )
    except OSError as error:
        raise EngineError(f"{command[0]} does not start: {error}") from error
    with process:
        for line in process.stdout or ():
            os.write(log, line.encode())
            step = _STEP.match(line)
            if step:
                done, total = int(step[1]), int(step[2])
                progress(f"building an engine for this CPU, step {done} of {total}", done / total)
    if process.returncode:
        last = " ".join(path.read_text(errors="replace").splitlines()[-5:])[-500:]
        raise EngineError(f"the build failed, see {path}: {last}")


def _jobs(machine: Machine) -> int:
    return max(1, min(machine.cores, machine.ram_mb // MEMORY_PER_JOB - 1))


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDED:
        raise EngineError(f"building needs {DISK_NEEDED >> 20} MB of disk, {folder} has {free >> 20} MB")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Build as a process of its own: JSON lines of progress on stdout, ended as a group with what it started."""
    signal.signal(signal.SIGTERM, _end_group)
    os.nice(19)
    try:
        build(Path(arguments[0]), load_pins()[1], detect(), _print_progress)
    except (EngineError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    return 0


def _print_progress(doing: str, progress: float | None) -> None:
    print(json.dumps({"doing": doing, "progress": progress}), flush=True)


def _end_group(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
