"""``pipecatapp serve`` under a crowd without a token: it answers, its log and its descriptors stay small."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testing.integration.app.conftest import Program

pytestmark = pytest.mark.integration

CROWD = 1100  # more than the 1,024 descriptors that a process has by default


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + 200:
        pytest.skip(f"this user may open no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def strangers(port: int) -> list[socket.socket]:
    """Idle connections from ten addresses."""
    found = []
    for number in range(CROWD):
        stranger = socket.socket()
        stranger.bind((f"127.0.2.{number % 10 + 1}", 0))
        stranger.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            stranger.connect(("127.0.0.1", port))
        found.append(stranger)
        if number % 50 == 0:
            time.sleep(0.05)
    return found


def test_a_crowd_costs_no_turn_no_log_and_no_descriptors(program: Program, many_descriptors: None) -> None:
    program.start()
    assert program.process is not None
    limits = (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, limits)
    program.wait(lambda response: response.status_code == 200)
    log = program.state / "serve.log"
    before = log.stat().st_size

    crowd = strangers(program.port)
    try:
        asked = program.command("ask", "What can you do?")
        stranger = httpx.get(f"http://127.0.0.1:{program.port}/health", trust_env=False, timeout=10)
        held = sum(1 for _ in Path(f"/proc/{program.process.pid}/fd").iterdir())
    finally:
        for one in crowd:
            one.close()

    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
    assert (stranger.status_code, stranger.json()) == (200, {"role": "alone"})
    assert held < 400
    assert log.stat().st_size - before < 20_000
    assert json.loads(program.command("status", "--json").stdout)["components"]["engine"]["ok"]
