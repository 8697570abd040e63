"""`pipecatapp link` in a cluster: the links lie where the agent runs, and elsewhere it says where that is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipecatapp.cli.client import Client
from pipecatapp.settings import Settings
from testing.fakes.file_site import FileSite, running_file_site

pytestmark = pytest.mark.integration


@pytest.fixture
def consul(tmp_path: Path) -> Iterator[FileSite]:
    with running_file_site(tmp_path / "site") as site:
        yield site


@pytest.fixture
def client(consul: FileSite, tmp_path: Path) -> Callable[[str], Client]:
    """The command line of a machine whose Consul says that the agent is at an address."""

    def made(address: str) -> Client:
        place = {"Node": {"Node": "n2", "Address": address}, "Service": {"Service": "pipecat-app"}}
        consul.put("v1/health/service/pipecat-app", json.dumps([place] if address else []))
        settings = Settings(
            state_dir=tmp_path / "state", nomad_addr="https://127.0.0.1:4646", consul_http_addr=consul.url
        )
        return Client.of(settings)

    return made


def test_it_says_on_which_other_machine_the_agent_runs(
    client: Callable[[str], Client], capsys: pytest.CaptureFixture[str]
) -> None:
    assert client("192.0.2.7").link() == 1
    assert client("192.0.2.7").program_link() == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "n2 (192.0.2.7); there: sudo pipecatapp link\n" in shown.err
    assert "there: sudo pipecatapp link --mcp" in shown.err


@pytest.mark.parametrize("address", ["127.0.0.1", ""], ids=["here", "nowhere"])
def test_it_prints_this_machines_links_else(
    address: str, client: Callable[[str], Client], capsys: pytest.CaptureFixture[str]
) -> None:
    assert client(address).link() == 0
    assert "?token=" in capsys.readouterr().out
