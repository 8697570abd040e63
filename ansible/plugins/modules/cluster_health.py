"""Ansible module: how this machine's Consul and Nomad are, and what they know of the others; it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.consul_http import Consul, ConsulError
from ansible.module_utils.nomad_http import Nomad, NomadError

DOCUMENTATION = """
module: cluster_health
short_description: How this machine's Consul and Nomad are, and what they know of the others
options:
  name:
    description: This machine's name in both.
    type: str
    required: true
  programs:
    description: Which of them it has.
    type: list
    elements: str
    choices: [consul, nomad]
    required: true
  server:
    description: Whether it votes.
    type: bool
    required: true
  consul_tokens:
    description: Management tokens; the first that Consul knows is used. Without one only the leader is asked for.
    type: list
    elements: str
    default: []
  nomad_token:
    description: Nomad's management token; without it only the leader is asked for.
    type: str
    default: ""
  ca_file:
    description: The authority of Nomad's certificate.
    type: path
    default: /etc/nomad.d/tls/ca.pem
  timeout:
    description: Seconds in which it may get well.
    type: int
    default: 0
"""

RETURN = """
health: {description: 'By program: C(trouble), C(leader), C(members), C(voters), C(node_id).', type: dict}
"""

_CONSUL_STATUS = {1: "alive", 2: "leaving", 3: "left", 4: "failed"}
NODE_IDS = {"consul": Path("/opt/consul/node-id"), "nomad": Path("/opt/nomad/data/server/node-id")}
LOGS = {"consul": Path("/opt/consul/raft/raft.db"), "nomad": Path("/opt/nomad/data/server/raft/raft.db")}


def consul_trouble(consul: Consul, name: str, authorized: bool) -> str:
    """What is wrong with this machine's Consul; empty: nothing."""
    try:
        if not consul.ask("GET", "status/leader", token=""):
            return "sees no leader"
    except ConsulError as error:
        # 500: it lives, and says itself that there is none.
        return "sees no leader" if error.status else "does not answer"
    if authorized and consul_members(consul).get(name) != "alive":
        return "does not know its own machine"
    return ""


def consul_members(consul: Consul) -> dict[str, str]:
    """How this agent sees the members, by name."""
    return {each["Name"]: _CONSUL_STATUS.get(each["Status"], "unknown") for each in consul.ask("GET", "agent/members")}


def consul_voters(consul: Consul) -> list[str]:
    """The names of those who vote, as far as this server knows."""
    servers = consul.ask("GET", "operator/raft/configuration?stale")["Servers"]
    return sorted(server["Node"] for server in servers if server["Voter"])


def nomad_trouble(nomad: Nomad, name: str, authorized: bool) -> str:
    """What is wrong with this machine's Nomad; empty: nothing."""
    try:
        if not nomad.get("/v1/status/leader"):
            return "sees no leader"
    except NomadError as error:
        # 500: it lives, and says itself that there is none.
        return "sees no leader" if error.status else "does not answer"
    if authorized and not nomad_members(nomad).get(name, "").startswith("ready"):
        return "does not take this machine for ready"
    return ""


def nomad_members(nomad: Nomad) -> dict[str, str]:
    """How the servers see the machines, by name: ready, down, and whether they take jobs. The best of each name."""
    found: dict[str, str] = {}
    for node in nomad.get("/v1/nodes"):
        status = node["Status"]
        if node["SchedulingEligibility"] != "eligible":
            status += ", draining" if node.get("Drain") else ", takes no jobs"
        if found.get(node["Name"], "") != "ready":
            found[node["Name"]] = status
    return found


def nomad_voters(nomad: Nomad) -> list[str]:
    """The names of the servers that vote, as far as this server knows."""
    servers = nomad.get("/v1/operator/raft/configuration?stale=true")["Servers"]
    return sorted(server["Node"].split(".")[0] for server in servers if server["Voter"])


def quietly(ask: Callable[[], Any], otherwise: Any) -> Any:
    """The answer, or another value where there is none: without a leader many questions have none."""
    try:
        return ask()
    except (ConsulError, NomadError):
        return otherwise


def until_well(trouble: Callable[[], str], timeout: float) -> str:
    """Ask until there is no trouble; what it is at the end."""
    deadline = time.monotonic() + timeout
    while (found := trouble()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def health(given: dict[str, Any]) -> dict[str, Any]:
    """How each program is."""
    consul = Consul(given["consul_tokens"])
    nomad = Nomad(["https://127.0.0.1:4646"], given["ca_file"], given["nomad_token"])
    name: str = given["name"]
    # Each with the question for its trouble, its members, its voters, and whether it has a token.
    asked: dict[str, tuple[Callable[[], str], Callable[[], Any], Callable[[], Any], bool]] = {
        "consul": (
            lambda: quietly(lambda: consul_trouble(consul, name, bool(given["consul_tokens"])), "refuses our token"),
            lambda: consul_members(consul),
            lambda: consul_voters(consul),
            bool(given["consul_tokens"]),
        ),
        "nomad": (
            lambda: quietly(lambda: nomad_trouble(nomad, name, bool(given["nomad_token"])), "refuses our token"),
            lambda: nomad_members(nomad),
            lambda: nomad_voters(nomad),
            bool(given["nomad_token"]),
        ),
    }
    found: dict[str, Any] = {}
    for program in given["programs"]:
        trouble, members, voters, authorized = asked[program]
        found[program] = {
            "trouble": until_well(trouble, given["timeout"]),
            "members": quietly(members, {}) if authorized else {},
            "voters": quietly(voters, []) if authorized and given["server"] else [],
            "node_id": text(NODE_IDS[program]),
            "has_log": LOGS[program].exists(),
        }
        found[program]["leader"] = found[program]["trouble"] not in ("sees no leader", "does not answer")
    return found


def text(path: Path) -> str:
    """A small file's content; empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "programs": {"type": "list", "elements": "str", "choices": ["consul", "nomad"], "required": True},
            "server": {"type": "bool", "required": True},
            "consul_tokens": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "nomad_token": {"type": "str", "default": "", "no_log": True},
            "ca_file": {"type": "path", "default": "/etc/nomad.d/tls/ca.pem"},
            "timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, health=health(module.params))


if __name__ == "__main__":
    main()
