"""The status file, and why an engine ended."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pipecatapp.llm.postmortem import Postmortem, last_words
from pipecatapp.llm.status import EngineStatus, read_status, write_status

pytestmark = pytest.mark.unit


def test_what_is_written_is_read(tmp_path: Path) -> None:
    status = EngineStatus("loading", "loading qwen", 0.5, model="qwen", supervisor_pid=os.getpid())

    write_status(tmp_path / "deep/status.json", status)

    assert read_status(tmp_path / "deep/status.json") == status
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["status.json"]


def test_a_status_whose_writer_died_is_stopped(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    write_status(tmp_path / "s.json", EngineStatus("ready", "fine", pid=1, supervisor_pid=gone.pid))

    status = read_status(tmp_path / "s.json")

    assert status is not None
    assert (status.state, status.ready, status.pid) == ("stopped", False, None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 1, "nonsense": 2}', '{"reason": "no state"}'])
def test_a_file_of_another_version_or_none_is_no_crash(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.json").write_text(content)

    read_status(tmp_path / "s.json")
    assert read_status(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("code", "kills", "expected"),
    [
        (-signal.SIGKILL, 1, "ran out of memory"),
        (-signal.SIGKILL, 0, "from outside (SIGKILL)"),
        (-signal.SIGTERM, 1, "from outside (SIGTERM)"),
        (-signal.SIGILL, 0, "pipecatapp engine build"),
        (-signal.SIGSEGV, 0, "crashed (SIGSEGV): error: bad tensor"),
        (1, 0, "by itself (status 1): error: bad tensor"),
    ],
)
def test_the_end_of_an_engine_is_explained(tmp_path: Path, code: int, kills: int, expected: str) -> None:
    vmstat, log = tmp_path / "vmstat", tmp_path / "log"
    vmstat.write_text("nr_free_pages 7\noom_kill 3\n")
    log.write_text("loading\nerror: bad tensor\ncleaning up\n")
    postmortem = Postmortem((vmstat, tmp_path / "none"))
    vmstat.write_text(f"oom_kill {3 + kills}\n")

    assert expected in postmortem.describe(code, log)


def test_last_words_are_a_complaint_or_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")

    assert last_words(log) == "two"
    assert last_words(tmp_path / "none") == "it left no log"
