"""Ansible's modules for Consul against a real one: policies and tokens, the gossip key, restarts that wait."""

from __future__ import annotations

import base64
import json
import secrets
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.ansible_plugins import load
from testing.consul import program
from testing.ports import free_port

pytestmark = pytest.mark.integration

acl = load("modules/consul_acl")
keyring = load("modules/consul_keyring")
restarts = load("modules/consul_restart")
retoken = load("modules/consul_retoken")
http = __import__("ansible.module_utils.consul_http", fromlist=["Consul"])

APP = 'key_prefix "experts/" { policy = "write" }\n'


def token() -> str:
    return str(uuid.uuid4())


def gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Server:
    """One Consul server with everything closed, as the role sets it up."""

    def __init__(self, folder: Path) -> None:
        self.management, self.key = token(), gossip_key()
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir()
        ports = {name: free_port() for name in ("http", "server", "serf_lan")}
        self.address = f"http://127.0.0.1:{ports['http']}"
        (self.config / "consul.json").write_text(
            json.dumps(
                {
                    "server": True, "bootstrap_expect": 1, "node_name": "n1", "bind_addr": "127.0.0.1",
                    "data_dir": str(folder / "data"), "encrypt": self.key, "disable_update_check": True,
                    "ports": {**ports, "dns": -1, "serf_wan": -1, "grpc": -1, "https": -1},
                    "performance": {"raft_multiplier": 1}, "leave_on_terminate": False, "skip_leave_on_interrupt": True,
                    "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": self.management}},
                }
            )
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [program(), "agent", f"-config-dir={self.config}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=20)

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def consul(self, *tokens: str) -> Any:
        return http.Consul(tokens or [self.management], self.address)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    missing = http.wait_until(60, lambda: "" if made.consul().ask("GET", "acl/policies") else "no policies")
    assert not missing, (tmp_path / "log").read_text()[-2000:]
    yield made
    made.stop()


def settle(server: Server, *, dry: bool = False, **changes: Any) -> dict[str, Any]:
    params = {
        "management": [server.management], "policies": {"app": APP}, "tokens": [], "datacenter": "dc1", "retired": [],
        "tidy": True,
    } | changes  # fmt: skip
    result: dict[str, Any] = acl.settle(params, server.consul(*params["management"]), dry=dry)
    return result


def may_write(server: Server, secret: str, key: str) -> bool:
    return bool(server.consul(secret).ask("PUT", f"kv/{key}", "value", also=(403,)) is True)


def test_policies_and_tokens_are_made_once_with_the_secrets_they_are_given(server: Server) -> None:
    app, agent = token(), token()
    wanted = [{"name": "app", "secret": app, "policies": ["app"]}, {"node": "n1", "secret": agent}]

    first = settle(server, tokens=wanted)
    second = settle(server, tokens=wanted)

    assert first["made"] == ["policy app", "token app", "token agent n1"]
    assert second == {"changed": False, "made": [], "removed": []}
    assert may_write(server, app, "experts/coding")
    assert not may_write(server, app, "other")
    assert not may_write(server, agent, "experts/coding")
    assert not may_write(server, "", "experts/coding")


def test_a_changed_rule_holds_for_the_tokens_that_are_there(server: Server) -> None:
    app = token()
    wanted = [{"name": "app", "secret": app, "policies": ["app"]}]
    settle(server, tokens=wanted)

    changed = settle(server, tokens=wanted, policies={"app": 'key_prefix "jobs/" { policy = "write" }\n'})

    assert changed["made"] == ["policy app"]
    assert (may_write(server, app, "jobs/one"), may_write(server, app, "experts/coding")) == (True, False)


def test_a_token_that_may_too_much_is_brought_back(server: Server) -> None:
    app = token()
    settle(server, tokens=[{"name": "app", "secret": app, "policies": ["global-management"]}])
    assert may_write(server, app, "other")

    changed = settle(server, tokens=[{"name": "app", "secret": app, "policies": ["app"]}])

    assert changed["made"] == ["token app"]
    assert not may_write(server, app, "other")


def test_what_is_not_wanted_goes_and_what_a_person_made_stays(server: Server) -> None:
    old, of_person = token(), token()
    settle(server, tokens=[{"name": "app", "secret": old, "policies": ["app"]}], policies={"app": APP, "gone": APP})
    server.consul().ask(
        "PUT", "acl/token", {"SecretID": of_person, "Description": "mine", "Policies": [{"Name": "app"}]}
    )

    kept = settle(server, tidy=False)
    tidied = settle(server)

    assert kept["removed"] == []
    assert tidied["removed"] == ["token app", "policy gone"]
    assert not may_write(server, old, "experts/coding")
    assert may_write(server, of_person, "experts/coding")


def test_the_management_token_turns_and_the_one_before_goes_last(server: Server) -> None:
    before, server.management = server.management, token()

    turned = settle(server, management=[server.management, before], tidy=False)
    both = [bool(server.consul().knows(secret)) for secret in (server.management, before)]
    settled = settle(server, management=[server.management, before], retired=[before])

    assert turned["made"] == ["policy app", "token management"]
    assert both == [True, True]
    assert settled["made"] == []
    assert len(settled["removed"]) == 1
    assert server.consul(server.management).knows(before) is None
    assert settle(server)["changed"] is False


def test_the_anonymous_token_loses_what_it_has(server: Server) -> None:
    settle(server)
    anonymous = {"AccessorID": acl.ANONYMOUS, "Description": "Anonymous Token", "Policies": [{"Name": "app"}]}
    server.consul().ask("PUT", f"acl/token/{acl.ANONYMOUS}", anonymous)
    assert may_write(server, "", "experts/coding")

    assert settle(server)["made"] == ["token anonymous"]
    assert not may_write(server, "", "experts/coding")


def test_a_dry_run_only_says(server: Server) -> None:
    app = token()

    said = settle(server, dry=True, tokens=[{"name": "app", "secret": app, "policies": ["app"]}])

    assert said["made"] == ["policy app", "token app"]
    assert server.consul().knows(app) is None


JOBS = 'node_prefix "" { policy = "write" }\nservice_prefix "" { policy = "write" }\n'


def test_a_service_is_watched_on_when_the_token_that_registered_it_has_gone(server: Server) -> None:
    old, new = token(), token()

    def allow(*secrets: str, tidy: bool) -> None:
        tokens = [{"name": "jobs", "secret": secret, "policies": ["jobs"]} for secret in secrets]
        settle(server, tokens=tokens, policies={"jobs": JOBS}, tidy=tidy)

    def passing() -> list[str]:
        return [each["Service"]["Service"] for each in server.consul().ask("GET", "health/service/web?passing")]

    allow(old, tidy=True)
    web = {"Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}
    server.consul(old).ask("PUT", "agent/service/register", web)
    assert not http.wait_until(60, lambda: "" if passing() else "not in the catalogue")
    allow(new, tidy=False)

    names = ({"jobs": old, "other": token(), "agents": {"n1": token()}}, {"jobs": new, "agents": {}})
    data = server.folder / "data"
    assert retoken.replace_tokens(data, retoken.pairs(*names), dry=True) == 2
    assert retoken.replace_tokens(data, retoken.pairs(*names)) == 2
    assert retoken.replace_tokens(data, retoken.pairs(*names)) == 0
    assert {path.stat().st_mode & 0o777 for path in (data / "checks").iterdir()} == {0o600}
    server.reload()
    allow(new, tidy=True)

    assert passing() == ["web"]
    server.consul(new).ask("PUT", "agent/check/fail/service:web")
    assert not http.wait_until(60, lambda: "still passing" if passing() else "")
    server.consul(new).ask("PUT", "agent/service/deregister/web")
    assert not http.wait_until(60, lambda: "there" if server.consul().ask("GET", "catalog/service/web") else "")


def test_the_gossip_key_turns_while_everybody_lives(server: Server) -> None:
    fresh = gossip_key()

    first = keyring.turn(server.consul(), fresh)
    second = keyring.turn(server.consul(), fresh)

    assert (first, second) == ({"changed": True, "replaced": 1}, {"changed": False, "replaced": 0})
    ring = json.loads((server.folder / "data/serf/local.keyring").read_text())
    assert ring == [fresh]


@pytest.mark.parametrize(
    ("content", "stale"), [("", True), ('["other"]', True), ('["key", "other"]', False), (None, False)]
)
def test_a_ring_without_the_key_is_forgotten(tmp_path: Path, content: str | None, stale: bool) -> None:
    ring = tmp_path / "local.keyring"
    if content is not None:
        ring.write_text(content)

    assert keyring.forget_ring(tmp_path, Path("local.keyring"), "key")["changed"] is stale
    assert ring.exists() == (content is not None and not stale)


def restart(server: Server, command: list[str], **changes: Any) -> dict[str, Any]:
    params = {
        "server": True, "restart": command, "program": str(program()), "config": str(server.config), "timeout": 30,
    } | changes  # fmt: skip
    result: dict[str, Any] = restarts.restart(params, server.consul())
    return result


def test_a_restart_ends_when_the_server_takes_part_again(server: Server) -> None:
    again = server.folder / "again.sh"
    again.write_text(
        f"#!/bin/sh\nkill -9 {server._process.pid}\n"  # type: ignore[union-attr]
        f"nohup {program()} agent -config-dir={server.config} >/dev/null 2>&1 &\necho $! >{server.folder}/pid\n"
    )
    again.chmod(0o755)
    try:
        done = restart(server, [str(again)])

        assert done == {"changed": True, "waited": True}
        assert server.consul().leader()
    finally:
        subprocess.run(["kill", "-9", (server.folder / "pid").read_text().strip()], check=True)


def test_a_configuration_that_is_wrong_stops_nothing(server: Server) -> None:
    (server.config / "more.json").write_text('{"raft_multiplayer": 1}')

    with pytest.raises(restarts.RestartError, match="does not understand its configuration"):
        restart(server, ["false"])

    assert server.consul().leader()


def test_an_agent_that_is_down_is_started_without_waiting(server: Server) -> None:
    server.stop()

    assert restart(server, ["true"]) == {"changed": True, "waited": False}


def test_a_server_that_does_not_come_back_is_said(server: Server) -> None:
    pid = str(server._process.pid)  # type: ignore[union-attr]

    with pytest.raises(restarts.RestartError, match="restarted, but"):
        restart(server, ["kill", "-9", pid], timeout=3)
