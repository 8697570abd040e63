"""Files of root's in a folder that another user may write: that user may swap any name in it at any moment.

Nothing is reached through a link, and nothing is waited for.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe without anybody at its other end must not keep root waiting.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_inside(root: Path, name: PurePath, most: int) -> bytes | None:
    """The content of a file in a folder; None where there is none.

    Args:
        root: a folder whose own name root alone may change.
        name: the file's, below it.
        most: bytes; a longer one is refused.

    Raises:
        OSError: there is something else in its place.
    """
    with contextlib.suppress(FileNotFoundError), _folder_of(root, name) as folder:
        descriptor = os.open(name.name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(None, "is no file", str(root / name))
            content = file.read(most + 1)
            if len(content) > most:
                raise OSError(None, "is too long", str(root / name))
            return content
    return None


def unlink_inside(root: Path, name: PurePath) -> None:
    """Remove a name in a folder, never what it leads to; nothing where it is gone.

    Raises:
        OSError: a link is on the way, or it is a folder.
    """
    with contextlib.suppress(FileNotFoundError), _folder_of(root, name) as folder:
        os.unlink(name.name, dir_fd=folder)


@contextlib.contextmanager
def _folder_of(root: Path, name: PurePath) -> Iterator[int]:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in name.parts[:-1]:
            below = os.open(step, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)
