"""The whole program in a process of its own, with a real llama-server and the starter model (or a random one)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from testing.engine_node import ROOT as ROOT
from testing.engine_node import link_engines, starter_or_random
from testing.ports import free_port

# Later systemd kills it (ansible/roles/service/templates/unit.j2).
ENDS_WITHIN_S = 30


class Program:
    """``pipecatapp serve``. ``start`` and ``end`` it as often as the test likes."""

    def __init__(self, state: Path, model: Path, **settings: str) -> None:
        self.state = state
        self.port = free_port()
        self.environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.environment |= {
            "PIPECATAPP_CONFIG": str(state / "none.env"),
            "STATE_DIR": str(state),
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(self.port),
            "WEB_TLS_PORT": "0",
            "ENGINE_PORT": str(free_port()),
            "LLM_MODEL": str(model),
            **settings,
        }
        self.process: subprocess.Popen[str] | None = None
        link_engines(state / "engine")

    def start(self) -> None:
        command = [sys.executable, "-m", "pipecatapp", "serve"]
        with (self.state / "serve.log").open("a") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, text=True)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipecatapp", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=240, check=False)

    def health(self) -> httpx.Response | None:
        """What it says to who has the token; without it, it says too little. None while there is nothing to ask."""
        with contextlib.suppress(httpx.HTTPError, FileNotFoundError):
            headers = {"authorization": f"Bearer {(self.state / 'token').read_text().strip()}"}
            url = f"http://127.0.0.1:{self.port}/health"
            return httpx.get(url, headers=headers, timeout=10, trust_env=False)
        return None

    def wait(self, wanted: Callable[[httpx.Response], bool], seconds: float = 180) -> httpx.Response:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.state / "serve.log").read_text()
            response = self.health()
            if response is not None and wanted(response):
                return response
            time.sleep(0.1)
        raise AssertionError((self.state / "serve.log").read_text())

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; the seconds until the process was gone."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        return time.monotonic() - started


@pytest.fixture(scope="session")
def any_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter model where it is, else a random one under its name."""
    return starter_or_random(tmp_path_factory.mktemp("model"))


@pytest.fixture
def program(tmp_path: Path, any_model: Path) -> Iterator[Program]:
    program = Program(tmp_path / "state", any_model)
    yield program
    if program.process is not None and program.process.poll() is None:
        program.process.kill()
        program.process.wait()
