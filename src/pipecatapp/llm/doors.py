"""The doors that Debian's packages come through: a folder, a peer, this machine's own mirrors, Debian's archive.

Every package is pinned by its checksum, so it does not matter who hands it over, nor how old the lists of a mirror are:
nothing is looked up in them. apt's own downloader fetches, with the proxies, credentials and authorities that this
machine's apt is set up with, and checks what arrives. Works as root and as a plain user.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from pipecatapp.errors import EngineError
from pipecatapp.llm.engines import DebianPackage, DebianPin
from pipecatapp.storage.atomic import move, replacing

logger = logging.getLogger(__name__)

_DOWNLOADER = Path("/usr/lib/apt/apt-helper")
_SUITES = r"(?:bullseye|bookworm|trixie|forky|duke|sid|(?:old)*stable|testing|unstable)(?:-updates|-backports)?"
_RELEASE = re.compile(rf"^'(?P<root>[^'\s]+?)/?/dists/{_SUITES}/InRelease'")
_UNREACHABLE = re.compile(
    r"could not (?:connect|resolve|handshake)|unable to connect|timed? ?out|temporary failure|cannot initiate"
    r"|network is unreachable|no route to host|connection (?:refused|reset)",
    re.IGNORECASE,
)


class Door(Protocol):
    """Where packages may be had."""

    @property
    def name(self) -> str:
        """How a person knows it."""

    def bring(self, package: DebianPackage, target: Path) -> None:
        """Put the package's file at ``target``.

        Raises:
            DoorClosedError: nobody is there; no need to ask for the next package.
            EngineError: it does not have this package.
        """


class DoorClosedError(EngineError):
    """Nobody answers at this door."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the files, by whatever names: a USB stick, another engine's packages."""

    path: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def bring(self, package: DebianPackage, target: Path) -> None:
        """Copy it here."""
        try:
            there = self.path.is_dir()
            found = file_with(self.path, package.sha256) if there else None
        except OSError as error:
            raise DoorClosedError(f"cannot be read: {error.strerror}") from error
        if not there:
            raise DoorClosedError("there is no such folder")
        if found is None:
            raise EngineError("is not there")
        with found.open("rb") as source, replacing(target, 0o640) as copy:
            shutil.copyfileobj(source, copy)


@dataclass(frozen=True, slots=True)
class Site:
    """A web server with the files.

    Args:
        name: how a person knows it.
        root: the beginning of every URL.
        layout: ``flat``: the files lie there by their names; ``pool``: it is a mirror; ``sha1``: named by checksum.
        options: for apt.
    """

    name: str
    root: str
    layout: str
    options: tuple[str, ...] = ()

    def bring(self, package: DebianPackage, target: Path) -> None:
        """Download it, checked by its sha256."""
        path = {"flat": package.file, "pool": package.pool, "sha1": package.sha1}[self.layout]
        url = f"{self.root.rstrip('/')}/{quote(path)}"
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as name:
            fresh = Path(name) / target.name
            try:
                run([str(_DOWNLOADER), *self.options, "download-file", url, str(fresh), f"SHA256:{package.sha256}"], "")
            except EngineError as error:
                reason = str(error).removeprefix(": ")
                raise (DoorClosedError if _UNREACHABLE.search(reason) else EngineError)(reason) from error
            move(fresh, target)


@dataclass(slots=True)
class Doors:
    """All doors, asked in this order for each package; one that is closed is not asked again."""

    doors: Sequence[Door]
    reasons: dict[str, str] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def bring(self, package: DebianPackage, target: Path) -> None:
        """Fetch one package.

        Raises:
            EngineError: no door has it; says what each of them said.
        """
        for door in self.doors:
            if door.name in self._closed:
                continue
            try:
                door.bring(package, target)
                _check(package, target)
            except DoorClosedError as error:
                self._closed.add(door.name)
                self.reasons[door.name] = str(error)
            except (EngineError, OSError) as error:
                self.reasons[door.name] = f"{package.name} {error}"
            else:
                logger.info("%s comes from %s", package.file, door.name)
                return
            logger.info("%s: %s", door.name, self.reasons[door.name])
        said = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items()) or "there is none to ask"
        raise EngineError(f"{package.file} cannot be had ({said})")


def _check(package: DebianPackage, file: Path) -> None:
    """What counts is what lies here: a file of somebody else's may change between two looks."""
    if file_sha256(file) != package.sha256:
        file.unlink()
        raise EngineError("is another file than the pinned one")


def doors(work: Path, pin: DebianPin, sources: Iterable[str]) -> Doors:
    """The named folders and URLs, the machine's mirrors, Debian's archive.

    Args:
        work: for apt's own files.
        pin: the packages; also where Debian's archive is.
        sources: what a person named: folders, ``file:`` and ``http:`` URLs.
    """
    options = _private_apt(work, pin.architecture)
    found: list[Door] = []
    for source in sources:
        if source.startswith(("http://", "https://")):
            found.append(Site(_without_password(source), source, "flat", options))
        else:
            found.append(Folder(Path(source.removeprefix("file://"))))
    found += [Site(_without_password(root), root, "pool", options) for root in mirrors(options)]
    if pin.snapshot:
        found.append(Site("Debian's archive", pin.snapshot, "sha1", options))
    return Doors(found)


def mirrors(options: Sequence[str] = ()) -> list[str]:
    """The Debian mirrors in this machine's own sources, in whatever format those are written."""
    try:
        shown = run(["apt-get", *options, "update", "--print-uris"], "asking apt for its sources")
    except EngineError as error:
        logger.warning("%s", error)
        return []
    found = (_RELEASE.match(line) for line in shown.splitlines())
    roots = dict.fromkeys(match["root"] for match in found if match)
    # A disc has no pool that can be asked.
    return [root for root in roots if root.startswith(("http://", "https://", "file:"))]


def file_with(folder: Path, sha256: str) -> Path | None:
    """The package in a folder that has this checksum. What is no file, or cannot be read, is none.

    Raises:
        OSError: the folder cannot be read.
    """
    for file in sorted(folder.iterdir()):
        with contextlib.suppress(OSError):
            if file.suffix == ".deb" and file.is_file() and file_sha256(file) == sha256:
                return file
    return None


def file_sha256(file: Path) -> str:
    """The checksum of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def run(command: Sequence[str], doing: str, timeout: float = 900) -> str:
    """Run a program of Debian's to its end; its output.

    Raises:
        EngineError: it fails; with its own words, passwords in URLs taken out.
    """
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout, check=True
        )
    except subprocess.CalledProcessError as error:
        text = _without_password((error.stderr or error.stdout or "").strip())
        lines = [line for line in text.splitlines() if line.startswith(("E:", "dpkg"))] or text.splitlines()
        raise EngineError(f"{f'{doing} failed' if doing else ''}: {' '.join(lines[:2])}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{f'{doing} failed' if doing else ''}: {error}") from error
    return done.stdout


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)


def _private_apt(work: Path, architecture: str) -> tuple[str, ...]:
    """Options that keep apt away from the system's folders, so that it needs no root and changes nothing."""
    for folder in ("lists/partial", "cache/archives/partial", "state"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "state/status").touch()
    values: Mapping[str, object] = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "state/status",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
        "APT::Architecture": architecture,
        # The folders are private: apt's own download user could not enter them. No matter for others.
        "APT::Sandbox::User": "root",
    }
    return tuple(word for key, value in values.items() for word in ("-o", f"{key}={value}"))
