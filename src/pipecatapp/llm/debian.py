"""Debian's llama.cpp, unpacked into a tree of its own with the libraries that it needs; the system is not touched.

apt fetches, through the mirror, proxy and credentials that this machine is set up with, into private folders, and
checks the signatures. Works as root and as a plain user.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.llm.engines import DebianPin, Engine, Progress
from pipecatapp.storage.atomic import move

logger = logging.getLogger(__name__)

KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{end}") for end in ("pgp", "gpg"))
_SUITES = r"(?:bullseye|bookworm|trixie|forky|duke|sid|(?:old)*stable|testing|unstable)(?:-updates|-backports)?"
_RELEASE = re.compile(rf"^'(?P<root>\S+?)/?/dists/{_SUITES}/InRelease'")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")


def engine_in(tree: Path) -> Engine:
    """The llama-server of an unpacked tree, started through the tree's own dynamic linker.

    It finds its CPU backends in the folder that it is started in, and picks the one for this CPU by itself.
    """
    libraries = tree / _LIBRARIES
    command = [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        f"{libraries}:{libraries / 'llama'}",
        str(tree / "usr/bin/llama-server"),
    ]
    return Engine(tree.name, command, libraries / "ggml/backends0")


def installed(engines: Path) -> Engine | None:
    """The newest complete tree under ``engines``; trees appear there only when whole."""
    trees = [tree for tree in engines.glob("debian-*") if (tree / "usr/bin/llama-server").is_file()]
    newest = max(trees, key=lambda tree: tree.stat().st_mtime, default=None)
    return engine_in(newest) if newest else None


def fetch(engines: Path, pin: DebianPin, progress: Progress) -> Engine:
    """Fetch, check and unpack the packages of an engine.

    Raises:
        EngineError: this is no Debian on x86-64, no mirror has it, a signature does not hold, or it does not run.
    """
    tree = unpack(engines, pin, progress, lambda tree: engine_in(tree).run("--version"))
    progress("the engine is unpacked", 1.0)
    return engine_in(tree)


def unpack(folder: Path, pin: DebianPin, progress: Progress, check: Callable[[Path], object]) -> Path:
    """Fetch, check and unpack the packages; an earlier interrupted fetch goes on where it was.

    Args:
        folder: where the tree is put, as ``debian-<version>``.
        pin: the packages.
        progress: told what is being done.
        check: tries the tree before it gets its name.

    Raises:
        EngineError: as ``fetch``.
    """
    _check_machine(pin)
    folder.mkdir(parents=True, exist_ok=True)
    debs = folder / ".debian" / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    have = {name: _pinned_file(debs, values["sha256"]) for name, values in pin.packages.items()}
    if not all(have.values()):
        have = _Apt(folder / ".debian", pin, progress).download(have, debs)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as name:
        tree = Path(name) / "tree"
        for done, (package, file) in enumerate(sorted(have.items())):
            progress(f"unpacking {package}", done / len(have))
            if file is None:
                raise EngineError(f"apt did not deliver {package}")
            _run(["dpkg-deb", "--extract", str(file), str(tree)], "unpacking")
        shutil.rmtree(tree / "usr/share", ignore_errors=True)
        check(tree)
        target = folder / f"debian-{pin.version if _all_pinned(have, pin) else 'latest'}"
        tree.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        move(tree, target)
    shutil.rmtree(folder / ".debian", ignore_errors=True)
    return target


class _Apt:
    """apt-get with folders of its own, so that it needs no root and changes nothing of the system's."""

    def __init__(self, work: Path, pin: DebianPin, progress: Progress) -> None:
        self._pin = pin
        self._progress = progress
        self._work = work
        for folder in ("etc", "lists/partial", "cache/archives/partial", "state"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        (work / "state/status").touch()
        self._private = [
            *_options(
                {
                    "Dir::State": work / "state",
                    "Dir::State::status": work / "state/status",
                    "Dir::State::lists": work / "lists",
                    "Dir::Cache": work / "cache",
                    "Acquire::Languages": "none",
                    "Acquire::Retries": "3",
                    "APT::Architecture": pin.architecture,
                    # The folders are private: apt's own download user could not enter them. No matter for others.
                    "APT::Sandbox::User": "root",
                    # A machine may have these switched on for its own sources; an engine is never taken unsigned.
                    "Acquire::AllowInsecureRepositories": "false",
                    "Acquire::AllowWeakRepositories": "false",
                    "APT::Get::AllowUnauthenticated": "false",
                    "APT::Update::Error-Mode": "any",
                }
            )
        ]

    def download(self, have: dict[str, Path | None], debs: Path) -> dict[str, Path | None]:
        """Bring every package into ``debs``: the pinned version, or the mirror's when that is gone."""
        source = self._find_mirror()
        wanted = {name: values for name, values in self._pin.packages.items() if have[name] is None}
        self._progress(f"downloading {len(wanted)} packages", None)
        try:
            with tempfile.TemporaryDirectory(dir=debs) as folder:
                names = [f"{name}={values['version']}" for name, values in wanted.items()]
                _run(["apt-get", "--quiet", *source, "download", *names], "downloading", cwd=Path(folder))
                for file in Path(folder).glob("*.deb"):
                    file.replace(debs / file.name)
        except EngineError as error:
            logger.info("the pinned packages are not all there, asking one by one: %s", error)
        for done, (name, values) in enumerate(wanted.items()):
            have[name] = _pinned_file(debs, values["sha256"])
            if have[name] is not None:
                continue
            self._progress(f"downloading {name}", done / len(wanted))
            try:
                have[name] = self._get(f"{name}={values['version']}", source, debs)
            except EngineError:
                logger.warning("%s %s is not on the mirror any more: taking what %s has, signed", name,
                               values["version"], self._pin.suite)  # fmt: skip
                have[name] = self._get(name, source, debs)
        return have

    def _get(self, package: str, source: list[str], debs: Path) -> Path:
        with tempfile.TemporaryDirectory(dir=debs) as folder:
            _run(["apt-get", "--quiet", *source, "download", package], f"downloading {package}", cwd=Path(folder))
            file = next(Path(folder).glob("*.deb"), None)
            if file is None:
                raise EngineError(f"apt delivered nothing for {package}")
            return file.replace(debs / file.name)

    def _find_mirror(self) -> list[str]:
        reasons = []
        roots = self._roots()
        if not roots:
            raise EngineError("apt has no Debian mirror; add one to /etc/apt/sources.list.d and run again")
        for keyring in self._keyrings():
            for root in roots:
                options = self._source(root, keyring)
                self._progress(f"reading {self._pin.suite}'s package list", None)
                try:
                    _run(["apt-get", "--quiet", *options, "update"], "reading the package list")
                except EngineError as error:
                    reasons.append(str(error))
                else:
                    return options
        raise EngineError(
            f"no configured mirror has a signed {self._pin.suite}: {reasons[-1] if reasons else 'no key'}"
        )

    def _source(self, root: str, keyring: Path) -> list[str]:
        file = self._work / "etc/engine.sources"
        file.write_text(
            f"Types: deb\nURIs: {root}\nSuites: {self._pin.suite}\nComponents: main\n"
            f"Architectures: {self._pin.architecture}\nSigned-By: {keyring}\n"
        )
        file.chmod(0o600)
        return [*self._private, *_options({"Dir::Etc::sourcelist": file, "Dir::Etc::sourceparts": "-"})]

    def _roots(self) -> list[str]:
        """The Debian archives of the machine's own sources, whatever format they are written in."""
        shown = _run(["apt-get", *self._private, "update", "--print-uris"], "asking apt for its sources")
        found = (_RELEASE.match(line) for line in shown.splitlines())
        return list(dict.fromkeys(match["root"] for match in found if match))

    def _keyrings(self) -> Iterator[Path]:
        """The machine's Debian keys, then those of the newest keyring package that the machine's own keys vouch for."""
        yield from [path for path in KEYRINGS if path.is_file()][:1]
        yield from self._newest_keyring()

    def _newest_keyring(self) -> list[Path]:
        tree = self._work / "keyring"
        try:
            self._progress("fetching Debian's newest keys", None)
            _run(["apt-get", "--quiet", *self._private, "update"], "reading the machine's package lists")
            deb = self._get("debian-archive-keyring", self._private, self._work)
            _run(["dpkg-deb", "--extract", str(deb), str(tree)], "unpacking the keys")
        except EngineError as error:
            logger.warning("no newer keys: %s", error)
            return []
        return [path for path in (tree / key.relative_to("/") for key in KEYRINGS) if path.is_file()][:1]


def _check_machine(pin: DebianPin) -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise EngineError(f"{' and '.join(missing)} not found: this is no Debian; install llama-server or set LLM_URL")
    architecture = _run(["dpkg", "--print-architecture"], "asking for the architecture").strip()
    if architecture != pin.architecture:
        raise EngineError(f"Debian's engine is pinned for {pin.architecture}, this is {architecture}; set LLM_URL")


def _pinned_file(debs: Path, sha256: str) -> Path | None:
    return next((file for file in debs.glob("*.deb") if _sha256(file) == sha256), None)


def _all_pinned(have: Mapping[str, Path | None], pin: DebianPin) -> bool:
    return all(file is not None and _sha256(file) == pin.packages[name]["sha256"] for name, file in have.items())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _options(values: Mapping[str, object]) -> list[str]:
    return [word for key, value in values.items() for word in ("-o", f"{key}={value}")]


def _run(command: Sequence[str], doing: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", timeout=900, check=True
        )
    except subprocess.CalledProcessError as error:
        # Sources may carry a password in their URL.
        text = re.sub(r"//[^/@\s]+@", "//", (error.stderr or error.stdout or "").strip())
        lines = [line for line in text.splitlines() if line.startswith(("E:", "W:", "dpkg"))] or text.splitlines()
        raise EngineError(f"{doing} failed: {' '.join(lines[-3:])}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{doing} failed: {error}") from error
    return done.stdout
