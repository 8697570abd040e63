"""Personas: text files that a person edits while the agent runs. A changed file counts from the next turn on."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

FALLBACK = "You are a friendly voice assistant. Answer in one or two short spoken sentences."


class Personas:
    """The persona files of one folder: ``router.txt`` and ``<expert>_expert.txt``.

    A file is read again when its time or size changed; the new text changes the front of the prompt, which the
    engine then evaluates once anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[tuple[int, int], str]] = {}

    def router(self) -> str:
        """How the agent itself speaks."""
        return self._read("router.txt") or FALLBACK

    def expert(self, name: str) -> str:
        """How an expert speaks; the general one where it has no file of its own."""
        return self._read(f"{name}_expert.txt") or self._read("general_expert.txt") or FALLBACK

    def _read(self, name: str) -> str:
        path = self._folder / name
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._seen.get(name)
            if known is None or known[0] != stamp:
                known = self._seen[name] = (stamp, path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            if name not in self._seen:
                logger.warning("persona %s cannot be read (%s); going on without it", path, error)
                self._seen[name] = ((0, 0), "")
            return self._seen[name][1]
        return known[1]
