"""Files from the package registry, through pip: with the index, proxy and certificates of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pipecatapp.errors import DownloadError, SourceUnreachableError

_UNREACHABLE = ("connection", "timed out", "temporary failure", "name resolution", "network is unreachable", "proxy")


def pip(arguments: Sequence[str], cwd: Path) -> None:
    """Run pip of this Python.

    Raises:
        SourceUnreachableError: the registry cannot be reached.
        DownloadError: pip is missing or refuses.
    """
    if find_spec("pip") is None:
        raise DownloadError(f"pip is missing beside {sys.executable}; run: {sys.executable} -m ensurepip")
    command = [sys.executable, "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=1800, check=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or error.stderr.splitlines()
        kind = SourceUnreachableError if any(word in error.stderr.lower() for word in _UNREACHABLE) else DownloadError
        raise kind(f"pip could not fetch {arguments[-1]}: {' '.join(lines[-2:])[-400:]}") from error
    except subprocess.TimeoutExpired as error:
        raise SourceUnreachableError(f"pip took more than 30 minutes to fetch {arguments[-1]}") from error


def download(requirement: str, sha256: str, folder: Path) -> Path:
    """Fetch one pinned wheel, without its dependencies, into an existing folder; nothing of it is run.

    Raises:
        DownloadError: it cannot be had, or is not the pinned file.
    """
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    wheels = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    pip(["download", *wheels, "--dest", str(folder), "--requirement", str(pinned)], folder)
    file = next(folder.glob("*.whl"), None)
    if file is None:
        raise DownloadError(f"pip delivered nothing for {requirement}")
    return file
