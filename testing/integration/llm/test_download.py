"""Downloads from a hub on loopback: resumed, checked, named only when whole; and pulls of the catalogue's models."""

from __future__ import annotations

import hashlib
import random
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipecatapp.errors import ChecksumError, DownloadError, SourceUnreachableError
from pipecatapp.llm.catalogue import Model, installed_variant
from pipecatapp.llm.download import Downloader
from pipecatapp.llm.pull import ModelStore
from pipecatapp.machine import CpuClass, Machine
from testing.fakes.hub import Hub, running_hub

pytestmark = pytest.mark.integration

CONTENT = random.Random(7).randbytes(900_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
PC = Machine(CpuClass.AVX2, frozenset(), 2, 8000)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def downloader(waits: list[float]) -> Iterator[Downloader]:
    with httpx.Client(timeout=5, follow_redirects=True, trust_env=False) as http:
        yield Downloader(http, waits.append)


def ignore(here: int, total: int | None) -> None:
    """A progress that nobody looks at."""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_arrives_whole_with_progress(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    url = hub.put("m.gguf", CONTENT, "slow")

    downloader.fetch(url, tmp_path / "deep/m.gguf", SHA, lambda *at: seen.append(at))

    assert (tmp_path / "deep/m.gguf").read_bytes() == CONTENT
    assert names(tmp_path / "deep") == ["m.gguf"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_dropped_connections_cost_no_byte_twice(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", CONTENT, "drop:300000", "drop:1", "drop:250000", "good")

    downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert hub.ranges == [None, "bytes=300000-", "bytes=300001-", "bytes=550001-"]
    assert hub.sent == len(CONTENT)


def test_the_next_run_goes_on_where_this_one_stopped(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", CONTENT, "drop:400000", "status:503", "status:503", "status:503")
    with pytest.raises(SourceUnreachableError):
        downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)
    assert (tmp_path / "m.gguf.part").stat().st_size == 400_000

    with httpx.Client(trust_env=False) as http:
        Downloader(http).fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert hub.ranges[-1] == "bytes=400000-"


def test_a_file_that_changed_meanwhile_starts_afresh(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", b"older " + CONTENT, "drop:400000", "status:503", "status:503", "status:503")
    with pytest.raises(SourceUnreachableError):
        downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)
    hub.put("m.gguf", CONTENT)

    with httpx.Client(trust_env=False) as http:
        Downloader(http).fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_is_taken_from_the_start(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", CONTENT, "drop:400000", "ignore-range")

    downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_a_finished_part_is_only_checked(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", CONTENT)
    (tmp_path / "m.gguf.part").write_bytes(CONTENT)

    downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert hub.sent == 0
    assert names(tmp_path) == ["m.gguf"]


def test_a_rotten_part_is_thrown_away_once(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", CONTENT)
    (tmp_path / "m.gguf.part").write_bytes(b"rotten" * 1000)

    downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_another_file_than_the_pinned_one_is_never_kept(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    url = hub.put("m.gguf", b"not the model")

    with pytest.raises(ChecksumError, match=SHA):
        downloader.fetch(url, tmp_path / "m.gguf", SHA, ignore)

    assert names(tmp_path) == []


def test_what_is_here_and_right_is_not_asked_for(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(CONTENT)

    downloader.fetch(hub.put("m.gguf", CONTENT), tmp_path / "m.gguf", SHA, ignore)

    assert hub.ranges == []


def test_a_redirect_is_followed(hub: Hub, downloader: Downloader, tmp_path: Path) -> None:
    hub.redirects["/resolve/m.gguf"] = hub.put("cdn/m.gguf", CONTENT, "drop:5000", "good")

    downloader.fetch(f"{hub.url}/resolve/m.gguf", tmp_path / "m.gguf", SHA, ignore)

    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_a_file_that_is_gone_is_another_error_than_a_hub_that_is(
    hub: Hub, downloader: Downloader, tmp_path: Path, waits: list[float]
) -> None:
    with pytest.raises(DownloadError, match="404") as gone:
        downloader.fetch(f"{hub.url}/none", tmp_path / "m.gguf", SHA, ignore)
    with pytest.raises(SourceUnreachableError):
        downloader.fetch("http://127.0.0.1:9/m.gguf", tmp_path / "m.gguf", SHA, ignore)
    tries = len(waits)
    with pytest.raises(SourceUnreachableError):
        downloader.fetch("http://127.0.0.1:9/other.gguf", tmp_path / "other.gguf", SHA, ignore)

    assert not isinstance(gone.value, SourceUnreachableError)
    assert len(waits) == tries, "a host that did not answer is not tried for the next file"


def test_a_full_disk_is_told_before_it_is_full(
    hub: Hub, downloader: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 10**6))

    with pytest.raises(DownloadError, match="MB free"):
        downloader.fetch(hub.put("m.gguf", CONTENT), tmp_path / "m.gguf", SHA, ignore)

    assert not (tmp_path / "m.gguf").exists()


class TestPull:
    """Whole models."""

    @pytest.fixture
    def store(self, tmp_path: Path, downloader: Downloader) -> ModelStore:
        return ModelStore(tmp_path, PC, downloader)

    def voice(self, hub: Hub, *scripts: str, sha256: str | None = SHA) -> Model:
        config = b"{}"
        files: list[dict[str, Any]] = [
            {"name": "voice.onnx", "url": hub.put("voice.onnx", CONTENT, *scripts), "sha256": sha256},
            {"name": "voice.json", "url": hub.put("voice.json", config), "sha256": hashlib.sha256(config).hexdigest()},
        ]
        variant = {"quantization": "float32", "cpu": "core2", "size_mb": 1, "files": files}
        fields = {"name": "voice", "title": "A voice", "licence": "MIT", "ram_mb": 10, "variants": [variant]}
        return Model.model_validate(fields)

    def test_a_model_is_installed_when_all_its_files_are_right(self, hub: Hub, store: ModelStore) -> None:
        model = self.voice(hub)

        folder = store.pull(model, lambda *at: None)

        assert names(folder) == ["voice.json", "voice.onnx"]
        assert installed_variant(store.folder, model) is not None
        assert store.verify(model) == []

    def test_a_damaged_file_is_found_and_pulled_again(self, hub: Hub, store: ModelStore) -> None:
        model = self.voice(hub)
        file = store.pull(model, lambda *at: None) / "voice.onnx"
        file.write_bytes(b"bit rot")
        assert "voice.onnx: damaged" in store.verify(model)[0]

        store.pull(model, lambda *at: None)

        assert store.verify(model) == []

    def test_a_failed_pull_leaves_no_half_model_and_no_empty_folder(self, hub: Hub, store: ModelStore) -> None:
        model = self.voice(hub, "status:404")

        with pytest.raises(DownloadError):
            store.pull(model, lambda *at: None)

        assert installed_variant(store.folder, model) is None
        assert names(store.folder) == [".pull.lock"]
