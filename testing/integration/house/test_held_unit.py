"""A job and the unit that it holds end together, whoever of them ends first and however."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).resolve().parents[3] / "ansible/roles/service/files/held_unit.py"
# Runs until it is asked to end, and says so in files.
AGENT = """
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def end(*_):
    (place / "ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(place / "started").touch()
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens at for the unit."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
        made.listen()
        yield made


def unit(listening: socket.socket, *command: str) -> subprocess.Popen[bytes]:
    """The unit as systemd starts it: the socket is its file number 3."""
    words = [sys.executable, str(PROGRAM), "run", *command]
    return subprocess.Popen(["bash", "-c", f'exec 3<&{listening.fileno()}; exec "$@"', "-", *words],
                            pass_fds=[listening.fileno()])  # fmt: skip


def job(tmp_path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(PROGRAM), "hold", str(tmp_path / "socket")])


def agent(tmp_path: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", AGENT, str(tmp_path))


def appears(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_asked_to_end_waits_until_the_unit_has(
    how: signal.Signals, listening: socket.socket, tmp_path: Path
) -> None:
    holding = job(tmp_path)
    held = unit(listening, *agent(tmp_path))
    appears(tmp_path / "started")

    holding.send_signal(how)

    assert holding.wait(60) == 0
    assert (tmp_path / "ended").exists()
    assert held.wait(60) == 0


def test_the_unit_ends_with_a_job_that_is_killed(listening: socket.socket, tmp_path: Path) -> None:
    holding = job(tmp_path)
    held = unit(listening, *agent(tmp_path))
    appears(tmp_path / "started")

    holding.kill()

    assert held.wait(60) == 0
    assert (tmp_path / "ended").exists()
    holding.wait(60)


def test_the_job_ends_as_the_unit_did(listening: socket.socket, tmp_path: Path) -> None:
    holding = job(tmp_path)
    held = unit(listening, sys.executable, "-c", "raise SystemExit(7)")
    assert holding.wait(60) == 7
    assert held.wait(60) == 7


def test_systemd_may_stop_the_unit(listening: socket.socket, tmp_path: Path) -> None:
    holding = job(tmp_path)
    held = unit(listening, *agent(tmp_path))
    appears(tmp_path / "started")

    held.terminate()

    assert held.wait(60) == 0
    assert holding.wait(60) == 0
    assert (tmp_path / "ended").exists()


def test_the_job_fails_where_the_unit_is_killed(listening: socket.socket, tmp_path: Path) -> None:
    holding = job(tmp_path)
    held = unit(listening, sys.executable, "-c", "import os, time; os.kill(os.getppid(), 9); time.sleep(1)")
    assert holding.wait(60) == 1
    assert held.wait(60) == -signal.SIGKILL


def test_a_second_job_waits_for_the_first_ones_unit(listening: socket.socket, tmp_path: Path) -> None:
    first, held = job(tmp_path), unit(listening, *agent(tmp_path))
    appears(tmp_path / "started")
    second = job(tmp_path)

    first.terminate()
    assert (first.wait(60), held.wait(60)) == (0, 0)
    assert second.poll() is None

    (tmp_path / "started").unlink()
    held = unit(listening, *agent(tmp_path))
    appears(tmp_path / "started")
    second.terminate()
    assert (second.wait(60), held.wait(60)) == (0, 0)


def test_without_a_socket_the_job_says_what_to_do(tmp_path: Path) -> None:
    words = [sys.executable, str(PROGRAM), "hold", str(tmp_path / "none")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run the playbook" in done.stderr
