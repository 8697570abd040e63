"""Files of the unit: for it alone, and never half written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, value: Any) -> None:
    """Write JSON in one step: a power cut leaves the old file or the new one."""
    new = path.with_name(f".{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(value, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Any:
    """What ``write`` wrote; None where there is nothing.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def writable_by_others(folder: Path) -> str:
    """The first of a folder, its parents and files that others than root and this user may write; empty for none."""
    ours = {0, os.getuid()}
    for path in (*folder.resolve().parents, folder.resolve(), *folder.glob("*")):
        status = path.lstat()
        sticky = status.st_mode & 0o1000
        if not path.is_symlink() and (status.st_uid not in ours or (status.st_mode & 0o022 and not sticky)):
            return str(path)
    return ""
