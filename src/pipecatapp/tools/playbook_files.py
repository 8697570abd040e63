"""All that a playbook may read on this machine, by one digest: what a person agreed to is what runs, or nothing does.

Which file a play opens is decided while it runs, so every file of the folder counts, with what ``ansible.cfg`` names
elsewhere and what Ansible finds in its home. Left out is what programs write for themselves and no play is made of.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipecatapp.errors import ToolError

_LEFT_OUT = frozenset(
    {".git", ".venv", "__pycache__", ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules"}
)
_READ_AT_MOST = 1024 * 1024  # bytes of a file; of a larger one its size and its times count
_CONFIG = "ansible.cfg"
_OF_HOME = ("roles", "collections", "plugins")
_KEYS = frozenset({"roles_path", "inventory", "library", "module_utils", "collections_path", "collections_paths"})
_MOST_FILES = 50_000


def digest_of_files(folder: Path, home: Path) -> str:
    """The SHA-256 of what playbooks of this folder are made of.

    Args:
        folder: the playbooks.
        home: where Ansible keeps what is its own.

    Raises:
        ToolError: these are too many to be looked at.
    """
    digest = hashlib.sha256()
    seen: set[tuple[int, int]] = set()
    files = 0
    for place in (folder, *_named(folder), *(home / name for name in _OF_HOME)):
        for line in _lines(place, seen):
            digest.update(line)
            files += 1
            if files > _MOST_FILES:
                raise ToolError(f"{folder} and what its {_CONFIG} names hold more than {_MOST_FILES} files")
    return digest.hexdigest()


def read_config(folder: Path) -> configparser.ConfigParser:
    """The folder's ``ansible.cfg``; empty where it has none, or one that cannot be read."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(folder / _CONFIG, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return configparser.ConfigParser(interpolation=None)
    return config


def _named(folder: Path) -> Iterator[Path]:
    """The files and folders that the configuration names: roles, an inventory, plugins."""
    config = read_config(folder)
    for section in config.sections():
        for key, value in config.items(section):
            if key in _KEYS or key.endswith("_plugins"):
                parts = value.replace(",", ":").split(":")
                yield from (folder / Path(part.strip()).expanduser() for part in parts if "/" in part)


def _lines(place: Path, seen: set[tuple[int, int]]) -> Iterator[bytes]:
    """Each file below a place, links followed, every folder once."""
    try:
        about = place.stat()
    except OSError:
        return
    if not stat.S_ISDIR(about.st_mode):
        yield _line(place)
        return
    if (about.st_dev, about.st_ino) in seen:
        return
    seen.add((about.st_dev, about.st_ino))
    for path in _inside(place):
        if path.is_dir():
            if path.name not in _LEFT_OUT:
                yield from _lines(path, seen)
        else:
            yield _line(path)


def _inside(place: Path) -> Sequence[Path]:
    try:
        return sorted(place.iterdir())
    except OSError:
        return ()


def _line(path: Path) -> bytes:
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            what = "no file"
        elif about.st_size <= _READ_AT_MOST:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            what = f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"
        mode = f"{about.st_mode:o}"
    except OSError as error:
        what, mode = type(error).__name__, ""
    return f"{os.fspath(path)!r} {mode} {what}\n".encode()
