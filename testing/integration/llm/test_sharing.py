"""One PC of the house gives its models, another takes them: by checksum alone, resumed, and no file besides."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipecatapp.errors import SourceUnreachableError
from pipecatapp.llm.catalogue import Catalogue, Model
from pipecatapp.llm.download import Downloader
from pipecatapp.llm.pull import ModelStore
from pipecatapp.llm.sharing import SharingServer
from pipecatapp.machine import CpuClass, Machine

pytestmark = pytest.mark.integration

PC = Machine(CpuClass.CORE2, frozenset(), 2, 8000)
WEIGHTS = bytes(range(256)) * 20_000
SUM = hashlib.sha256(WEIGHTS).hexdigest()
NEVER = "https://models.invalid/weights.gguf"


def wanted(name: str = "one", sha256: str = SUM) -> Model:
    variant = {
        "quantization": "Q4_0", "cpu": "core2", "size_mb": 5,
        "files": [{"name": "weights.gguf", "sha256": sha256, "size": len(WEIGHTS), "url": NEVER}],
    }  # fmt: skip
    return Model.model_validate({"name": name, "title": "x", "licence": "x", "ram_mb": 1, "variants": [variant]})


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[SharingServer]:
    """A PC that has the model `one`, and knows another one that it has not."""
    models = tmp_path / "giver"
    (models / "one").mkdir(parents=True)
    (models / "one/weights.gguf").write_bytes(WEIGHTS)
    (models / "one/notes.txt").write_text("a person's")
    catalogue = Catalogue({"main": [wanted(), wanted("two", "0" * 64)]})
    with SharingServer("127.0.0.1", 0, catalogue, models) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: SharingServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def store(folder: Path, server: SharingServer) -> ModelStore:
    return ModelStore(folder, PC, Downloader(wait=lambda _: None), doors=[], peers=[url(server)])


def test_a_model_comes_from_the_peer(giver: SharingServer, tmp_path: Path) -> None:
    came: list[str] = []
    folder = store(tmp_path / "taker", giver).pull(wanted(), lambda *_: None, lambda file, door: came.append(door))
    assert (folder / "weights.gguf").read_bytes() == WEIGHTS
    assert came == [url(giver).removeprefix("http://")]


def test_an_interrupted_copy_goes_on_where_it_was(giver: SharingServer, tmp_path: Path) -> None:
    taker = tmp_path / "taker/one"
    taker.mkdir(parents=True)
    (taker / "weights.gguf.part").write_bytes(WEIGHTS[:5_000_000])
    steps: list[int] = []
    store(tmp_path / "taker", giver).pull(wanted(), lambda _, here, __: steps.append(here))
    assert min(steps) > 5_000_000
    assert (taker / "weights.gguf").read_bytes() == WEIGHTS


def test_a_part_that_is_whole_is_not_fetched_again(giver: SharingServer, tmp_path: Path) -> None:
    taker = tmp_path / "taker/one"
    taker.mkdir(parents=True)
    (taker / "weights.gguf.part").write_bytes(WEIGHTS)
    steps: list[int] = []
    store(tmp_path / "taker", giver).pull(wanted(), lambda _, here, __: steps.append(here))
    assert steps == []


@pytest.mark.parametrize("path", ["/one/notes.txt", "/notes.txt", "/", f"/{'0' * 64}", f"/one/{SUM}", f"/{SUM}x"])
def test_nothing_else_can_be_named(giver: SharingServer, path: str) -> None:
    assert httpx.get(f"{url(giver)}{path}").status_code == httpx.codes.NOT_FOUND


def test_not_more_take_at_once_than_the_network_bears(giver: SharingServer, tmp_path: Path) -> None:
    assert giver.enter()
    assert giver.enter()
    with pytest.raises(SourceUnreachableError, match="503"):
        store(tmp_path / "taker", giver).pull(wanted(), lambda *_: None)
    giver.leave()
    store(tmp_path / "other", giver).pull(wanted(), lambda *_: None)
