"""A job of a real Nomad that sleeps and wakes; skipped where NOMAD_BIN names none."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from power_agent.api import Api
from power_agent.configuration import Endpoint
from power_agent.errors import DriverError
from power_agent.job import JobDriver, Lock
from power_agent.server import RawServer
from testing.fakes.nomad_cluster import ConsulDouble
from testing.nomad import program
from testing.ports import free_port

pytestmark = pytest.mark.integration

CONFIGURATION = """
disable_update_check = true
ports {{
  http = {http}
  rpc = {rpc}
  serf = {serf}
}}
plugin "raw_exec" {{
  config {{
    enabled = true
  }}
}}
client {{
  options = {{
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }}
}}
"""
TASK = {
    "Name": "serve",
    "Driver": "raw_exec",
    "Config": {"command": "/usr/bin/python3", "args": ["-m", "http.server", "${NOMAD_PORT_http}"]},
    "Resources": {"CPU": 50, "MemoryMB": 50},
}
GROUP = {
    "Name": "llm",
    "Count": 2,
    "Networks": [{"Mode": "host", "DynamicPorts": [{"Label": "http"}]}],
    "Tasks": [TASK],
    "Update": {"MaxParallel": 0},
}
JOB = {"ID": "llm", "Name": "llm", "Type": "service", "Datacenters": ["dc1"], "TaskGroups": [GROUP]}


@pytest.fixture
async def nomad(tmp_path: Path) -> AsyncIterator[Api]:
    ports = {name: free_port() for name in ("http", "rpc", "serf")}
    (tmp_path / "agent.hcl").write_text(CONFIGURATION.format(**ports))
    command = [str(program()), "agent", "-dev", "-bind=127.0.0.1", f"-config={tmp_path / 'agent.hcl'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"-data-dir={tmp_path / 'data'}"], stdout=log, stderr=log)
    api = Api("Nomad", Endpoint("127.0.0.1", ports["http"]), "X-Nomad-Token")
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(DriverError):
                    if any(node["Status"] == "ready" for node in await api.json("GET", "/v1/nodes")):
                        break
                await asyncio.sleep(0.2)
        yield api
        await api.ask("DELETE", "/v1/job/llm?purge=true")
        async with asyncio.timeout(30):
            while any(a["ClientStatus"] == "running" for a in await api.json("GET", "/v1/allocations") or []):
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)
        # A client that ends leaves what it mounted for its tasks: nothing below a mount may be deleted.
        for place in _mounted_below(tmp_path):
            subprocess.run(["umount", place], check=True)


async def test_a_real_job_sleeps_and_wakes(nomad: Api) -> None:
    consul = ConsulDouble()
    driver = JobDriver("llm", "llm", nomad, Lock(consul, "llm"))
    server = RawServer(driver.address)
    assert not (await driver.look()).there
    assert (await nomad.ask("POST", "/v1/jobs", {"Job": JOB})).status == 200
    await _until_ready(server)

    awake = await driver.look()
    await driver.sleep()
    asleep = await driver.look()
    async with asyncio.timeout(30):
        while await server.ready():
            await asyncio.sleep(0.05)
    await driver.wake()
    await _until_ready(server)
    again = await driver.look()
    job = await nomad.json("GET", "/v1/job/llm")

    assert (awake.there, awake.wanted, awake.running, awake.here, awake.blocked) == (True, True, True, True, "")
    assert (asleep.wanted, asleep.slept, asleep.here) == (False, True, True)
    assert (again.wanted, again.here) == (True, True)
    assert job["TaskGroups"][0]["Count"] == 2
    assert consul.values == {}


def _mounted_below(folder: Path) -> list[str]:
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [place for place in places if place.startswith(f"{folder}/")]


async def _until_ready(server: RawServer) -> None:
    async with asyncio.timeout(60):
        while not await server.ready():
            await asyncio.sleep(0.05)
