"""What the power agent may do in a Consul that lets nobody do anything without a token."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from power_agent.api import Api
from power_agent.configuration import Endpoint
from power_agent.errors import DriverError
from power_agent.gate import Entry
from power_agent.job import Lock
from power_agent.policy import PolicyInConsul
from testing.consul import program
from testing.ports import free_port

pytestmark = pytest.mark.integration

# As in docs/howto/which-experts-sleep.md.
RIGHTS = """
node_prefix "" { policy = "read" }
session_prefix "" { policy = "write" }
service_prefix "prima-api-" { policy = "write" }
key_prefix "pipecatapp/power/" { policy = "write" }
key_prefix "experts/power/" { policy = "read" }
"""


@dataclass
class Consul:
    """Asked with the right to do everything, and with the power agent's rights."""

    management: Api
    power: Api


@pytest.fixture
async def consul(tmp_path: Path) -> AsyncIterator[Consul]:
    secret = str(uuid.uuid4())
    ports = {name: free_port() for name in ("http", "server", "serf_lan")}
    closed = {
        "server": True, "bootstrap_expect": 1, "node_name": "n1", "bind_addr": "127.0.0.1",
        "data_dir": str(tmp_path / "data"), "ports": {**ports, "dns": -1, "serf_wan": -1, "grpc": -1, "https": -1},
        "performance": {"raft_multiplier": 1}, "disable_update_check": True,
        "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": secret}},
    }  # fmt: skip
    (tmp_path / "consul.json").write_text(json.dumps(closed))
    command = [str(program()), "agent", f"-config-file={tmp_path / 'consul.json'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def api(name: str, token: str) -> Api:
        (tmp_path / name).write_text(token)
        return Api("Consul", Endpoint("127.0.0.1", ports["http"], tmp_path / name), "X-Consul-Token")

    management = api("management", secret)
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(DriverError):
                    if await management.json("GET", "/v1/acl/policies"):
                        break
                await asyncio.sleep(0.1)
        await management.json("PUT", "/v1/acl/policy", {"Name": "power", "Rules": RIGHTS})
        made = await management.json("PUT", "/v1/acl/token", {"Policies": [{"Name": "power"}]})
        yield Consul(management, api("power", made["SecretID"]))
    finally:
        process.kill()
        process.wait()


async def test_locks_entries_and_the_policy_need_no_more_than_these_rights(consul: Consul) -> None:
    lock, entry = Lock(consul.power, "creative/llm"), Entry(consul.power, "prima-api-coding", "127.0.0.1", 18081)
    policy = PolicyInConsul(consul.power, "experts/power/policy")
    wanted = {"version": 1, "services": {"prima-api-coding": {"idle_seconds": 60}}}
    await consul.management.ask("PUT", "/v1/kv/experts/power/policy", wanted)

    assert await lock.take({"count": 2})
    assert await lock.value() == {"count": 2}
    await lock.give_up()
    assert await lock.value() is None
    await entry.close()
    assert len(await consul.management.json("GET", "/v1/health/service/prima-api-coding")) == 1
    await entry.open()
    assert await consul.management.json("GET", "/v1/health/service/prima-api-coding") == []
    assert await policy.read()
    assert policy().idle_s == {"prima-api-coding": 60.0}

    for path, body in (
        ("/v1/kv/experts/power/policy", wanted),
        ("/v1/kv/experts/coding/active_model", "another"),
        ("/v1/agent/service/register", {"Name": "pipecat-app", "Port": 1}),
    ):
        assert (await consul.power.ask("PUT", path, body)).status == 403, path
