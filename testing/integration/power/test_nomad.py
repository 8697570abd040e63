"""A job of a real Nomad that sleeps and wakes; skipped where NOMAD_BIN names none."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from power_agent.api import Api
from power_agent.configuration import Endpoint
from power_agent.errors import DriverError
from power_agent.job import JobDriver, Lock, lock_of
from power_agent.server import RawServer
from testing.fakes.nomad_cluster import ConsulDouble
from testing.nomad import program
from testing.ports import free_port

pytestmark = pytest.mark.integration

CONFIGURATION = """
disable_update_check = true
acl {{
  enabled = true
}}
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
JOB = {
    "ID": "llm", "Name": "llm", "Namespace": "creative", "Type": "service", "Datacenters": ["dc1"],
    "TaskGroups": [GROUP],
}  # fmt: skip
# All that the power agent needs of Nomad.
RIGHTS = 'namespace "*" { capabilities = ["read-job", "scale-job"] }'


@dataclass
class Nomad:
    """A cluster of one machine.

    Attributes:
        api: with the right to do everything.
    """

    api: Api
    endpoint: Endpoint
    folder: Path

    async def power_agent(self) -> Api:
        """What the power agent asks with: the rights above and no others."""
        policy = {"Name": "power", "Rules": RIGHTS}
        assert (await self.api.ask("POST", "/v1/acl/policy/power", policy)).status == 200
        token = {"Name": "power", "Type": "client", "Policies": ["power"]}
        file = self.folder / "power.token"
        file.write_text((await self.api.json("POST", "/v1/acl/token", token))["SecretID"])
        return Api("Nomad", replace(self.endpoint, token_file=file), "X-Nomad-Token")


@pytest.fixture
async def nomad(tmp_path: Path) -> AsyncIterator[Nomad]:
    ports = {name: free_port() for name in ("http", "rpc", "serf")}
    (tmp_path / "agent.hcl").write_text(CONFIGURATION.format(**ports))
    command = [str(program()), "agent", "-dev", "-bind=127.0.0.1", f"-config={tmp_path / 'agent.hcl'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"-data-dir={tmp_path / 'data'}"], stdout=log, stderr=log)
    token = tmp_path / "token"
    endpoint = Endpoint("127.0.0.1", ports["http"], token)
    api = Api("Nomad", endpoint, "X-Nomad-Token")
    try:
        token.write_text("")
        async with asyncio.timeout(60):
            while True:
                with suppress(DriverError):
                    if not token.read_text():
                        token.write_text((await api.json("POST", "/v1/acl/bootstrap"))["SecretID"])
                    if any(node["Status"] == "ready" for node in await api.json("GET", "/v1/nodes")):
                        break
                await asyncio.sleep(0.2)
        assert (await api.ask("POST", "/v1/namespace/creative", {"Name": "creative"})).status == 200
        yield Nomad(api, endpoint, tmp_path)
        await api.ask("DELETE", "/v1/job/llm?purge=true&namespace=creative")
        async with asyncio.timeout(30):
            while any(
                a["ClientStatus"] == "running" for a in await api.json("GET", "/v1/allocations?namespace=*") or []
            ):
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)
        # A client that ends leaves what it mounted for its tasks: nothing below a mount may be deleted.
        for place in _mounted_below(tmp_path):
            subprocess.run(["umount", place], check=True)


async def test_a_real_job_sleeps_and_wakes_by_the_least_rights(nomad: Nomad) -> None:
    consul = ConsulDouble()
    own = (await nomad.api.json("GET", "/v1/agent/self"))["stats"]["client"]["node_id"]
    power = await nomad.power_agent()
    lock = Lock(consul, lock_of("llm", "creative"))
    driver = JobDriver("llm", "llm", power, lock, namespace="creative", node=own)
    server = RawServer(driver.address)
    assert not (await driver.look()).there
    assert (await nomad.api.ask("POST", "/v1/jobs", {"Job": JOB})).status == 200
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
    job = await nomad.api.json("GET", "/v1/job/llm?namespace=creative")
    stop = await power.ask("DELETE", "/v1/job/llm?namespace=creative")
    change = await power.ask("POST", "/v1/jobs", {"Job": JOB})

    assert (awake.there, awake.wanted, awake.running, awake.here, awake.blocked) == (True, True, True, True, "")
    assert (asleep.wanted, asleep.slept, asleep.here) == (False, True, True)
    assert (again.wanted, again.here) == (True, True)
    assert job["TaskGroups"][0]["Count"] == 2
    assert consul.values == {}
    assert (stop.status, change.status) == (403, 403)
    # In a container Nomad has no control groups.
    assert awake.ram_bytes is None or awake.ram_bytes > 0


def _mounted_below(folder: Path) -> list[str]:
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [place for place in places if place.startswith(f"{folder}/")]


async def _until_ready(server: RawServer) -> None:
    async with asyncio.timeout(60):
        while not await server.ready():
            await asyncio.sleep(0.05)
