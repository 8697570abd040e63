"""Packs what is installed into one archive: the files that git knows, without those that .gitattributes keeps out.

    pack_program.py CHECKOUT ARCHIVE.tar

The same files give the same archive, so that a second run sees that nothing changed. In an unpacked archive of the
repository there is no git to ask: there every file counts that .gitignore does not name.
"""

from __future__ import annotations

import fnmatch
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path


def tracked(root: Path) -> list[str] | None:
    """The files that git knows, None where this is no checkout or there is no git."""
    if not (root / ".git").exists():
        return None
    # The checkout may belong to somebody else than who installs it; no program that its settings name is started.
    command = ["git", "-c", f"safe.directory={root}", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in listed.split("\0") if name]


def walked(root: Path) -> Iterator[str]:
    """Every file that neither is hidden from git by .gitignore nor belongs to git."""
    ignored = [line.rstrip("/") for line in rules(root / ".gitignore")]
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git" and not _matches(name, ignored)]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            if name != ".git" and not _matches(name, ignored):
                yield str(Path(folder, name).relative_to(root))


def kept_out(root: Path) -> list[str]:
    """The paths that .gitattributes marks `export-ignore`."""
    found = (line.split() for line in rules(root / ".gitattributes"))
    return [words[0].strip("/") for words in found if "export-ignore" in words[1:]]


def rules(file: Path) -> list[str]:
    """The lines of a file that are neither empty nor a comment."""
    if not file.is_file():
        return []
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def listing(root: Path) -> list[str]:
    """What is packed, sorted."""
    names = tracked(root)
    out = kept_out(root)
    chosen = walked(root) if names is None else iter(names)
    return sorted(
        name for name in chosen if not any(name == path or name.startswith(f"{path}/") for path in out)
    )  # fmt: skip


def pack(root: Path, archive: Path) -> None:
    """Write the archive: sorted, owned by root, without dates."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in listing(root):
            path = root / name
            if path.is_symlink():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
                tar.addfile(entry)
            elif path.is_file():  # one that was deleted and not yet committed is not there
                content = path.read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                tar.addfile(entry, io.BytesIO(content))


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


if __name__ == "__main__":
    pack(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
