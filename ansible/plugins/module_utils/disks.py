"""How full the disks of this machine are, and by what."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What a look at a full disk may take: an old one has a million files.
DU_LIMIT_S = 120
# A folder of whose size a single entry makes up this much is not worth a line of its own.
_DOMINATED = 0.6
_LISTED = 3


def rooms(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The disks of these folders, each once: where it is mounted, its size and what is free, in MiB."""
    found: dict[int, dict[str, Any]] = {}
    for folder in folders:
        if folder.is_dir() and (device := folder.stat().st_dev) not in found:
            usage = shutil.disk_usage(folder)
            found[device] = {"mount": str(mount_of(folder)), "size_mb": usage.total >> 20, "free_mb": usage.free >> 20}
    return list(found.values())


def mount_of(folder: Path) -> Path:
    """Where the disk of a folder is mounted."""
    folder = folder.resolve()
    while not folder.is_mount():
        folder = folder.parent
    return folder


def is_full(room: dict[str, Any], least_free_mb: int) -> bool:
    """Whether a disk is so full that programs fail soon."""
    return bool(room["free_mb"] < min(least_free_mb, room["size_mb"] / 20))


def sizes(mount: str) -> dict[str, int]:
    """The size of every folder and large file of a disk, in MiB. What cannot be read in time is missing."""
    command = ["du", "--one-file-system", "--all", "--block-size=1M", "--threshold=1M", mount]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DU_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {}
    lines = (line.partition("\t") for line in done.stdout.splitlines())
    return {path: int(size) for size, tab, path in lines if tab and size.isdigit()}


def biggest(found: dict[str, int]) -> list[dict[str, Any]]:
    """What takes most: the folders and files that are not just what one entry in them is."""
    largest_child: dict[str, int] = {}
    for path, size in found.items():
        parent = str(Path(path).parent)
        if parent != path:
            largest_child[parent] = max(size, largest_child.get(parent, 0))
    # The disk itself; what it is mounted at is no news.
    top = min(found, key=len, default="")
    chosen: list[str] = []
    for path in sorted(found, key=lambda path: -found[path]):
        inside = any(Path(path).is_relative_to(other) for other in chosen)
        if path != top and not inside and largest_child.get(path, 0) < _DOMINATED * found[path]:
            chosen.append(path)
        if len(chosen) == _LISTED:
            break
    return [{"path": path, "mb": found[path]} for path in chosen]
