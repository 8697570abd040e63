"""The commands: what they print, and the exit status that scripts rely on."""

from __future__ import annotations

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

    def pull(self, store: ModelStore, wanted: Any, progress: FileProgress, **options: bool) -> Path:
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

    def pull(store: ModelStore, wanted: Any, progress: FileProgress, **options: bool) -> Path:
        return outcomes.pull(store, wanted, progress, **options)

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


def test_for_this_pc_pulls_what_suits_it(run: Run, outcomes: Outcomes, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "pull", "--for-this-pc") == OK

    assert outcomes.pulled == ["small"]
    assert "downloaded to" in capsys.readouterr().out


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
