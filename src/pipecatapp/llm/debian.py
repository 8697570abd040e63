"""Debian's llama.cpp, unpacked into a tree of its own with the libraries that it needs; the system is not touched."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.llm.doors import doors, file_sha256, file_with, run
from pipecatapp.llm.engines import DebianPin, Engine, Progress
from pipecatapp.storage.atomic import move

_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
_LINKER = "ld-linux-x86-64.so.2"
# The packages, kept: another PC can take them from here, and so can the next version what it shares with this one.
PACKAGES = "packages"
_ABANDONED_S = 3600


def engine_in(tree: Path) -> Engine:
    """The llama-server of an unpacked tree."""
    return _program_in(tree, tree / "usr/bin/llama-server")


def program_of(file: Path) -> Engine:
    """How to start a program by its file; one that lies in an unpacked tree is started as that tree wants it."""
    tree = next((folder for folder in file.parents if (folder / _LIBRARIES / _LINKER).is_file()), None)
    # Not the system's own root, where every Debian has its libraries in the same place.
    if tree is None or tree == Path(tree.anchor):
        return Engine(file.name, [str(file)])
    return _program_in(tree, file)


def rpc_server_in(tree: Path) -> Path:
    """Where the RPC server of an unpacked tree lies."""
    return tree / "usr/libexec/x86_64-linux-gnu/llama/bin/ggml-rpc-server"


def _program_in(tree: Path, file: Path) -> Engine:
    """A program of a tree, started through the tree's own dynamic linker.

    It finds its CPU backends in the folder that it is started in, and picks the one for this CPU by itself.
    """
    libraries = tree / _LIBRARIES
    command = [
        str(libraries / _LINKER),
        "--library-path",
        f"{libraries}:{libraries / 'llama'}",
        str(file),
    ]
    return Engine(tree.name, command, libraries / "ggml/backends0")


def installed(engines: Path) -> Engine | None:
    """The newest complete tree under ``engines``; trees appear there only when whole."""
    trees = [tree for tree in engines.glob("debian-*") if (tree / "usr/bin/llama-server").is_file()]
    newest = max(trees, key=lambda tree: tree.stat().st_mtime, default=None)
    return engine_in(newest) if newest else None


def with_rpc(engines: Path) -> Path | None:
    """The newest complete tree that has the RPC server."""
    trees = [tree for tree in engines.glob("debian-*") if rpc_server_in(tree).is_file()]
    return max(trees, key=lambda tree: tree.stat().st_mtime, default=None)


def fetch(engines: Path, pin: DebianPin, progress: Progress, sources: Iterable[str] = ()) -> Engine:
    """Fetch, check and unpack the packages of an engine.

    Raises:
        EngineError: this is no Debian on x86-64, no door has them, or it does not run here.
    """
    tree = unpack(engines, pin, progress, lambda tree: engine_in(tree).run("--version"), sources)
    progress("the engine is unpacked", 1.0)
    return engine_in(tree)


def unpack(
    folder: Path,
    pin: DebianPin,
    progress: Progress,
    check: Callable[[Path], object],
    sources: Iterable[str] = (),
) -> Path:
    """Fetch, check and unpack the packages; an earlier interrupted fetch goes on where it was.

    Args:
        folder: where the tree is put, as ``debian-<version>``.
        pin: the packages.
        progress: told what is being done.
        check: tries the tree before it gets its name.
        sources: folders and URLs to ask before the machine's own mirrors.

    Raises:
        EngineError: as ``fetch``.
    """
    _check_machine(pin)
    packages = folder / PACKAGES
    packages.mkdir(parents=True, exist_ok=True)
    for place in (folder, packages):
        _remove_abandoned(place)
    _collect(folder, packages, pin, progress, sources)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as name:
        tree = Path(name) / "tree"
        for done, package in enumerate(pin.packages):
            progress(f"unpacking {package.name}", done / len(pin.packages))
            run(["dpkg-deb", "--extract", str(packages / package.file), str(tree)], "unpacking")
        shutil.rmtree(tree / "usr/share", ignore_errors=True)
        check(tree)
        target = folder / f"debian-{pin.version}"
        tree.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        move(tree, target)
    return target


def _collect(folder: Path, packages: Path, pin: DebianPin, progress: Progress, sources: Iterable[str]) -> None:
    """Bring every package into ``packages``; what is there and right is kept, what belongs to no pin goes."""
    missing = []
    for package in pin.packages:
        here = packages / package.file
        if not (here.is_file() and file_sha256(here) == package.sha256):
            known = file_with(packages, package.sha256)
            if known is None:
                missing.append(package)
            else:
                move(known, here)
    if missing:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".apt-") as name:
            ways = doors(Path(name), pin, sources)
            for done, package in enumerate(missing):
                progress(f"downloading {package.name} ({done + 1} of {len(missing)})", done / len(missing))
                ways.bring(package, packages / package.file)
    pinned = {package.file for package in pin.packages}
    for file in packages.iterdir():
        if file.name not in pinned and not file.is_dir():
            file.unlink()


def _remove_abandoned(place: Path) -> None:
    """Delete the temporary folders of fetches that were killed; another process may be using a fresh one."""
    for left in [*place.glob(".unpack-*"), *place.glob(".apt-*"), *place.glob(".fetch-*")]:
        if time.time() - left.lstat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


def _check_machine(pin: DebianPin) -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise EngineError(f"{' and '.join(missing)} not found: this is no Debian; install llama-server or set LLM_URL")
    architecture = run(["dpkg", "--print-architecture"], "asking for the architecture").strip()
    if architecture != pin.architecture:
        raise EngineError(f"Debian's engine is pinned for {pin.architecture}, this is {architecture}; set LLM_URL")
