"""`pipecatapp power`: asks the power agent by its socket, and says what it says."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.cli.power import PowerClient
from pipecatapp.errors import ConfigurationError

pytestmark = pytest.mark.unit

CODING = {
    "service": "prima-api-coding", "state": "asleep", "since": 1000.0, "why": "no work for 600 s\x1b[2J", "idle_s": 600,
    "wake_estimate_s": 21.4,
}  # fmt: skip
MAIN = CODING | {
    "service": "prima-api-main",
    "state": "awake",
    "why": "it runs",
    "idle_s": None,
    "wake_estimate_s": None,
}


class PowerAgentDouble:
    """Answers one line each, as scripted."""

    def __init__(self, path: Path, answers: list[Any]) -> None:
        self.asked: list[Any] = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._socket.accept()
            with connection, connection.makefile("rb") as said:
                self.asked.append(json.loads(said.readline()))
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def _run(path: Path, answer: Any, *told: str) -> tuple[int, Any]:
    double = PowerAgentDouble(path, [answer])
    try:
        client = PowerClient(path, now=lambda: 1000.0 + 7200)
        return (client.steer(*told) if told else client.show()), double.asked[0]
    finally:
        double.close()


def test_it_lists_who_sleeps_since_when_and_why(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, asked = _run(path, {"services": [CODING, MAIN], "broken": {}, "measured_by": "the kernel (libbpf)"})

    lines = capsys.readouterr().out.splitlines()
    assert (code, asked) == (0, {"do": "list"})
    assert lines[0].startswith("prima-api-coding  asleep for 2 h (no work for 600 s")
    assert lines[0].endswith("; sleeps after 10 min without use, wakes in about 21 s")
    assert "\x1b" not in lines[0]
    assert lines[1] == "prima-api-main  awake for 2 h (it runs); never sleeps"
    assert lines[2] == "idleness is measured by the kernel (libbpf)"


def test_what_is_wrong_is_named_and_is_the_exit_code(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = _run(path, {"services": [], "broken": {"x": "'80' is no port"}, "measured_by": "nothing"})

    assert code == 1
    assert "x: not watched: '80' is no port" in capsys.readouterr().out


def test_it_tells_what_a_person_wants(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, asked = _run(path, {"service": MAIN | {"state": "pinned"}}, "pin", "prima-api-main")

    assert (code, asked) == (0, {"do": "pin", "service": "prima-api-main"})
    assert "pinned" in capsys.readouterr().out


def test_a_refusal_is_said(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unpin it first"):
        _run(path, {"error": "prima-api-main is pinned awake; unpin it first"}, "sleep", "prima-api-main")


def test_without_an_agent_it_says_what_to_do(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no power agent runs here"):
        PowerClient(path).show()
