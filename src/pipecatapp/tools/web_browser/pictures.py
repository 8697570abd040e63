"""The folder of pictures that tools took for the page: names that nobody can guess, the oldest deleted."""

from __future__ import annotations

import secrets
from pathlib import Path

from pipecatapp.storage.atomic import replace_file


class Pictures:
    """Keeps PNG pictures; Mission Control serves them at ``/api/pictures/<name>.png``.

    Args:
        folder: where; made when the first picture comes.
        most: how many are kept.
    """

    def __init__(self, folder: Path, most: int = 50) -> None:
        self._folder = folder
        self._most = most

    def add(self, png: bytes) -> str:
        """Keep a picture; returns the path of its URL. Blocks on the disk."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{secrets.token_hex(16)}.png"
        replace_file(self._folder / name, png)
        kept = sorted(self._folder.glob("*.png"), key=lambda picture: picture.stat().st_mtime_ns, reverse=True)
        for old in kept[self._most :]:
            old.unlink(missing_ok=True)
        return f"/api/pictures/{name}"
