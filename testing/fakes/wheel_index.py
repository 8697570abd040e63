"""A package index on loopback whose wheels carry what a test puts into them."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testing.fakes.file_site import FileSite, running_file_site


class WheelIndex:
    """The wheels of an index; ``asked`` are the names of those that were downloaded."""

    def __init__(self, site: FileSite) -> None:
        self._site = site

    @property
    def simple(self) -> str:
        """Where its simple API is."""
        return f"{self._site.url}/simple/"

    @property
    def asked(self) -> list[str]:
        """The wheels asked for, in order."""
        return [path.rpartition("/")[2] for path in self._site.asked if path.endswith(".whl")]

    def wheel(self, project: str, *members: tuple[str, bytes], listed: bool = True) -> str:
        """Publish version 1.0 of a project with these members; returns the wheel's checksum."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two members of one name are a test's wish
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
        content = buffer.getvalue()
        if listed:
            self.publish(project, content)
        return hashlib.sha256(content).hexdigest()

    def publish(self, project: str, content: bytes) -> None:
        """Let the index have these bytes as the project's wheel."""
        name = f"{project.replace('-', '_')}-1.0-py3-none-any.whl"
        self._site.put(f"files/{name}", content)
        entry = {
            "filename": name,
            "url": f"../../files/{name}",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
        }
        self._site.put(f"simple/{project}/index.json", json.dumps({"meta": {"api-version": "1.0"}, "files": [entry]}))


@contextmanager
def running_wheel_index(folder: Path) -> Iterator[WheelIndex]:
    """The index, for as long as the block runs."""
    with running_file_site(folder) as site:
        yield WheelIndex(site)


def file_in_pieces(name: str, content: bytes, pieces: Iterable[tuple[str, str, str]], **more: Any) -> dict[str, Any]:
    """A file of the catalogue; ``pieces`` are project, the wheel's checksum, member."""
    return {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "pieces": [{"wheel": f"{project}==1.0", "sha256": sha, "member": member} for project, sha, member in pieces],
        **more,
    }
