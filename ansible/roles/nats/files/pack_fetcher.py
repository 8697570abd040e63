"""Packs the few files of this program that fetch a package of Debian's: ``pack_fetcher.py CHECKOUT ARCHIVE.zip``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

FILES = (
    "__init__.py", "errors.py", "storage/__init__.py", "storage/atomic.py",
    "llm/__init__.py", "llm/debian.py", "llm/doors.py", "llm/engines.py", "llm/unpack.py",
)  # fmt: skip

if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[2], "w") as archive:
        for name in FILES:
            archive.write(Path(sys.argv[1], "src/pipecatapp", name), f"pipecatapp/{name}")
