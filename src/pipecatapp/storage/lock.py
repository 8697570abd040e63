"""A lock between processes: who has it is written into its file, and it is free when that one ends in whatever way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pipecatapp.errors import InUseError


class FileLock:
    """Held from now until ``release``.

    Args:
        path: the file that stands for it; it stays, for removing it would let two processes lock two files of one name.

    Raises:
        InUseError: another process has it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise InUseError(
                f"{path} is locked by process {holder or 'unknown'}; stop that one first (only one may use a memory)"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._descriptor)
