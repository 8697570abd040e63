"""Real storage for tests that need some: one for each folder, closed at the end of the test (testing/conftest.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.upkeep import TextEmbedder
from pipecatapp.storage.part import Storage

_open: dict[Path, Storage] = {}


def storage_in(folder: Path) -> Storage:
    """The storage of a folder, the same one until it is closed."""
    if folder not in _open:
        _open[folder] = Storage(folder)
    return _open[folder]


def memory_in(folder: Path, embedder: TextEmbedder | None, **options: Any) -> FaissMemory:
    """Long-term memory in that storage, not open."""
    storage = storage_in(folder)
    memory = FaissMemory(folder, storage.journal, storage.facts, embedder, **options)
    memory.erase_also(storage.erase)
    return memory


def close_storage(folder: Path | None = None) -> None:
    """Close the storage of a folder, or all: opened again they read what lies on the disk."""
    for each in [folder] if folder is not None else list(_open):
        if (storage := _open.pop(each, None)) is not None:
            storage.journal.close_now()
