"""The calls that wait for a person, in one file that is replaced as a whole: ``approvals.json``.

A kill at any instant leaves the file as it was or as it is to be. A file that cannot be read is set aside, and the
program goes on without it: then those calls have no answer, and so do not run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipecatapp.domain import ApprovalRequest, ApprovalState, Preview, Risk
from pipecatapp.errors import StorageError
from pipecatapp.storage.files import Files, RealFiles, set_aside

logger = logging.getLogger(__name__)

_VERSION = 1


class ApprovalFile:
    """``ports.ApprovalStore`` in one file.

    Args:
        path: its name; the folder is created.
        files: the file system.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._path = path
        self._fresh = path.with_name(f"{path.name}.new")
        self._files = files or RealFiles()

    async def load(self) -> list[ApprovalRequest]:
        """What was saved last; empty at first."""
        return await asyncio.to_thread(self._load)

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        """Replace all of it; when it returns, it lies on the disk."""
        value = {"v": _VERSION, "requests": [asdict(request) for request in requests]}
        content = json.dumps(value, default=_plain).encode()
        try:
            await asyncio.to_thread(self._save, content)
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror}; make room, or check its owner"
            ) from error

    def _load(self) -> list[ApprovalRequest]:
        try:
            if not self._files.exists(self._path):
                return []
            value = json.loads(b"".join(self._files.chunks(self._path)))
            if value["v"] != _VERSION:
                raise ValueError(f"version {value['v']}")
            return [_request(each) for each in value["requests"]]
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error.strerror}; check its owner") from error
        except (ValueError, KeyError, TypeError) as error:
            kept = set_aside(self._files, self._path, "unreadable", time.time())
            logger.error(
                "%s cannot be understood (%s); it is kept as %s, and what waited is lost", self._path, error, kept
            )
            return []

    def _save(self, content: bytes) -> None:
        self._files.make_folder(self._path.parent)
        output = self._files.create(self._fresh)
        try:
            output.write(content)
            output.sync()
        finally:
            output.close()
        self._files.rename(self._fresh, self._path)
        self._files.sync_folder(self._path.parent)


def _request(value: Mapping[str, Any]) -> ApprovalRequest:
    return ApprovalRequest(
        **{
            **value,
            "risk": Risk(value["risk"]),
            "preview": Preview(**value["preview"]),
            "state": ApprovalState(value["state"]),
        }
    )


def _plain(value: object) -> object:
    """Mappings that are no dict, in tool arguments."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")
