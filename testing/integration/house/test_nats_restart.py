"""A NATS server is restarted only while all others take part, and its return is awaited."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from testing.ansible_plugins import load

pytestmark = pytest.mark.integration

nats_restart = load("modules/nats_restart")


class FakeServer:
    """A server's monitor: what it says is set by the test."""

    def __init__(self) -> None:
        self.healthy = True
        self.routes = ["n2", "n3"]
        said = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bodies = {
                    "/healthz": {"status": "ok" if said.healthy else "unavailable"},
                    "/routez": {"routes": [{"remote_name": name} for name in said.routes]},
                }
                self.send_response(200 if said.healthy or self.path != "/healthz" else 503)
                self.end_headers()
                self.wfile.write(json.dumps(bodies[self.path]).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def monitor(self) -> object:
        return nats_restart.Monitor(f"http://127.0.0.1:{self._http.server_port}")

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def restarts(server: FakeServer, log: Path, timeout: float = 1) -> bool:
    waited: bool = nats_restart.restart(server.monitor, ["sh", "-c", f"echo x >>{log}"], ["n2", "n3"], timeout)
    return waited


def test_a_server_of_a_whole_cluster_is_restarted_and_awaited(server: FakeServer, tmp_path: Path) -> None:
    assert restarts(server, tmp_path / "log")
    assert (tmp_path / "log").read_text() == "x\n"


def test_while_another_is_away_it_is_left_alone(server: FakeServer, tmp_path: Path) -> None:
    server.routes = ["n3"]

    with pytest.raises(nats_restart.RestartError, match="n2 cannot be reached"):
        restarts(server, tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_one_that_takes_no_part_is_restarted_at_once(server: FakeServer, tmp_path: Path) -> None:
    server.healthy, server.routes = False, []

    assert not restarts(server, tmp_path / "log", timeout=60)
    assert (tmp_path / "log").read_text() == "x\n"


def test_one_that_does_not_run_is_started(tmp_path: Path) -> None:
    gone = nats_restart.Monitor("http://127.0.0.1:9")

    assert not nats_restart.restart(gone, ["true"], ["n2"], 60)


def test_a_command_that_fails_says_so(server: FakeServer) -> None:
    with pytest.raises(nats_restart.RestartError, match="false failed"):
        nats_restart.restart(server.monitor, ["false"], ["n2", "n3"], 1)
