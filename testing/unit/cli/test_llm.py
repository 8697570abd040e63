"""The commands: what they print, and the exit status that scripts rely on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.cli.main import main
from pipecatapp.cli.verb import FAILED, OK, SKIPPED, USAGE
from pipecatapp.errors import ChecksumError, DownloadError, SourceUnreachableError
from pipecatapp.llm.pull import FileProgress, ModelStore
from pipecatapp.llm.status import EngineStatus, write_status
from testing.unit.llm.test_catalogue import model, write

pytestmark = pytest.mark.unit


class Run:
    """The command line over a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        models = [model("big", ram_mb=10**9), model("small", auto={"cpu": "core2"})]
        self.models, self.engines = folder / "models", folder / "engine"
        for name, value in {
            "PIPECATAPP_CONFIG": folder / "none.env",
            "STATE_DIR": folder,
            "MODELS_FILE": write(folder, main_models=models, vision_models=[model("eyes")]),
        }.items():
            monkeypatch.setenv(name, str(value))

    def __call__(self, *words: str) -> int:
        return main(words)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


class Outcomes:
    """Stands for the hub: what each pull comes to."""

    def __init__(self) -> None:
        self.next: dict[str, Exception | bool] = {}
        self.pulled: list[str] = []

    def pull(self, store: ModelStore, wanted: Any, progress: FileProgress) -> Path:
        self.pulled.append(wanted.name)
        outcome = self.next.get(wanted.name, True)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome:
            progress(f"{wanted.name}.gguf", 100, 100)
        return store.folder / str(wanted.name)


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Outcomes:
    outcomes = Outcomes()

    def pull(store: ModelStore, wanted: Any, progress: FileProgress, *more: Any) -> Path:
        return outcomes.pull(store, wanted, progress)

    monkeypatch.setattr(ModelStore, "pull", pull)
    return outcomes


def test_the_list_marks_what_is_here_what_is_taken_and_what_does_not_fit(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run.models / "eyes"
    folder.mkdir(parents=True)
    (folder / "eyes.gguf").touch()

    assert run("models", "list") == OK

    marks = {
        line[2:].split()[0]: line[0] for line in capsys.readouterr().out.splitlines() if re.match(r"[*+ -] \w", line)
    }
    assert (marks["big"], marks["small"], marks["eyes"]) == ("-", "+", "*")


def test_the_list_marks_what_is_taken_where_the_best_cannot_be_had(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [model(name, auto={"cpu": "core2"}) for name in ("best", "second")]
    write(tmp_path, main_models=[*named, model("by-name")])

    assert run("models", "list") == OK

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if re.match(r"[+o] ", line)] == [["+", "best"], ["o", "second"]]
    assert "  by-name" in "\n".join(lines)


def test_for_this_pc_pulls_what_suits_it(run: Run, outcomes: Outcomes, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "pull", "--for-this-pc") == OK

    assert outcomes.pulled == ["small"]
    assert "downloaded to" in capsys.readouterr().out


def test_for_this_pc_takes_the_next_best_where_the_best_cannot_be_had(
    run: Run, outcomes: Outcomes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [model(name, auto={"cpu": "core2"}) for name in ("best", "second", "third")]
    write(tmp_path, main_models=models, stt_models=[model("ears", auto={"cpu": "core2"})])
    outcomes.next["best"] = SourceUnreachableError("hub cannot be reached")

    assert run("models", "pull", "--for-this-pc") == OK

    assert outcomes.pulled == ["ears", "best", "second"], "the small ones first, and no more than needed"
    assert "skipped: hub cannot be reached" in capsys.readouterr().out


def test_of_one_purpose_alone(run: Run, outcomes: Outcomes, tmp_path: Path) -> None:
    write(tmp_path, main_models=[model("m", auto={"cpu": "core2"})], stt_models=[model("e", auto={"cpu": "core2"})])

    assert run("models", "pull", "--for-this-pc", "--purpose", "stt") == OK

    assert outcomes.pulled == ["e"]


class TestImport:
    """What a USB stick has."""

    @pytest.fixture
    def stick(self, tmp_path: Path) -> Path:
        (tmp_path / "stick").mkdir()
        return tmp_path / "stick"

    def put(self, folder: Path, *names: str) -> None:
        """A catalogue of models that consist of these files and one that they share."""
        entries = []
        for name in names:
            entry = model(name)
            files = [(f"{name}.gguf", name.encode()), ("shared.json", b"{}")]
            sums = [{"name": n, "url": "https://hub/x", "sha256": hashlib.sha256(c).hexdigest()} for n, c in files]
            entry["variants"][0]["files"] = sums
            entries.append(entry)
        write(folder, main_models=entries)

    def test_files_are_known_by_their_checksums_whatever_they_are_called(
        self, run: Run, tmp_path: Path, stick: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.put(tmp_path, "one", "two")
        (stick / "some file").write_bytes(b"one")
        (stick / "deep").mkdir()
        (stick / "deep/other").write_bytes(b"{}")
        (stick / "two.gguf").write_bytes(b"something else")

        assert run("models", "import", str(stick)) == OK

        assert (run.models / "one/one.gguf").read_bytes() == b"one"
        assert (run.models / "one/shared.json").read_bytes() == b"{}"
        assert not (run.models / "two").exists()
        assert f"one.gguf: from {stick}; the checksum is right" in capsys.readouterr().out

    def test_what_is_missing_is_named_and_can_come_later(
        self, run: Run, tmp_path: Path, stick: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.put(tmp_path, "one", "two")
        (stick / "one.gguf").write_bytes(b"one")

        assert run("models", "import", str(stick)) == FAILED
        assert "shared.json is not there" in capsys.readouterr().err

        (stick / "one.gguf").unlink()
        (stick / "shared.json").write_bytes(b"{}")
        assert run("models", "import", str(stick / "shared.json")) == OK
        assert run("models", "verify", "one") == OK

    def test_a_stick_with_nothing_of_the_catalogue_or_none_at_all_is_told(
        self, run: Run, stick: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (stick / "holiday.jpg").write_bytes(b"sun")

        assert run("models", "import", str(stick)) == FAILED
        assert run("models", "import", str(stick / "none")) == FAILED

        said = capsys.readouterr().err
        assert "no file in" in said
        assert "cannot be read" in said


def test_a_second_pull_downloads_nothing_and_says_so(
    run: Run, outcomes: Outcomes, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes.next["small"] = False

    assert run("models", "pull", "small") == OK

    assert "downloaded to" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SourceUnreachableError("hub cannot be reached"), SKIPPED),
        (ChecksumError("not the pinned file"), FAILED),
        (DownloadError("disk full"), FAILED),
    ],
)
def test_the_status_tells_an_unreachable_hub_from_a_failure(
    run: Run, outcomes: Outcomes, error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes.next["small"] = error

    assert run("models", "pull", "small", "eyes") == status

    printed = capsys.readouterr()
    assert str(error) in printed.out + printed.err
    assert outcomes.pulled == ["small", "eyes"], "the rest is pulled all the same"


def test_naming_nothing_or_both_is_wrong_usage(run: Run, outcomes: Outcomes) -> None:
    assert run("models", "pull") == USAGE
    assert run("models", "pull", "small", "--for-this-pc") == USAGE


def test_verify_finds_what_is_damaged_or_not_here(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "verify") == OK
    assert run("models", "verify", "eyes") == FAILED
    (run.models / "eyes").mkdir(parents=True)
    (run.models / "eyes/eyes.gguf").write_bytes(b"rot")

    assert run("models", "verify") == FAILED

    assert "eyes.gguf: damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (None, FAILED, "no engine was ever started"),
        (EngineStatus("preparing", "downloading", 0.25), FAILED, "preparing (25%)"),
        (EngineStatus("ready", "qwen answers", model="qwen"), OK, "model:  qwen"),
    ],
)
def test_status_is_good_only_when_the_engine_can_answer(
    run: Run, status: EngineStatus | None, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if status:
        write_status(run.engines / "status.json", status)

    assert run("engine", "status") == code

    assert text in capsys.readouterr().out
