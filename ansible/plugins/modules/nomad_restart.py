"""Ansible module: restarts a Nomad agent so that the cluster never loses its quorum by it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_restart
short_description: Restarts a Nomad agent once the others can do without it, and waits until it is back
description:
  - Meant for a handler with `throttle 1`, so that one agent is away at a time.
  - A server goes only while all the other voters are healthy, or where there is no leader anyway. It is waited for
    until there is a leader and every voter is healthy and in touch.
  - An agent that does not run is left alone; whoever starts the service starts it with the new files.
  - The token may read the state of the servers. The first address is this node's own agent's.
extends_documentation_fragment: [nomad_api]
options:
  name:
    description: This server's node name, empty for a client.
    type: str
    default: ''
  servers:
    description: The names of all servers; one that is not healthy keeps the others from going.
    type: list
    elements: str
    default: []
  command:
    description: What restarts it.
    type: list
    elements: str
    required: true
  running:
    description: What tells by its exit status whether it runs.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait before it and after it.
    type: int
    default: 120
"""

RETURN = """
seconds:
  description: How long the agent was away.
  type: float
"""

# Servers' health is gathered every two seconds: what is older may still show the time before the restart.
STALE_S = 2.5
# A voter that was asked to lead does so within an election's time.
HANDOVER_S = 10


def unhealthy(health: dict[str, Any], names: list[str]) -> list[str]:
    """The servers of these names that do not vote or are not healthy. Nomad forgets one that is away for a while."""
    servers = health.get("Servers") or []
    good = {server["Name"].split(".")[0] for server in servers if server["Voter"] and server["Healthy"]}
    return [name for name in names if name not in good]


def all_back(health: dict[str, Any], names: list[str]) -> bool:
    """Whether there is a leader and each of these servers is healthy."""
    return any(server["Leader"] for server in health.get("Servers") or []) and not unhealthy(health, names)


def wait_for(what: str, test: Callable[[], str], limit: float) -> None:
    """Ask ``test`` twice a second until it returns nothing; its last words are the reason of the error.

    Raises:
        NomadError: it took longer than ``limit`` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        try:
            reason = test()
        except NomadError as error:
            reason = str(error)
        if not reason:
            return
        if time.monotonic() > deadline:
            raise NomadError(f"waited {limit:.0f} s {what}: {reason}")
        time.sleep(0.5)


def may_go(nomad: Nomad, name: str, names: list[str]) -> str:
    """Why this server should stay; empty: it may go."""
    try:
        health = nomad.state("/v1/operator/autopilot/health")
    except NomadError as error:
        # Without a leader nothing is lost by it. A refused token is another matter.
        if error.passing:
            return ""
        raise
    missing = unhealthy(health, [other for other in names if other != name])
    return f"not healthy: {', '.join(missing)}" if missing else ""


def hand_over(nomad: Nomad, name: str) -> bool:
    """Ask another voter to lead, if this server does, so that nobody has to notice first. Whether one was asked."""
    servers = nomad.state("/v1/operator/autopilot/health").get("Servers") or []
    leads = any(server["Leader"] and server["Name"].split(".")[0] == name for server in servers)
    heirs = [server for server in servers if server["Voter"] and server["Healthy"] and not server["Leader"]]
    if leads and heirs:
        nomad.request("PUT", f"/v1/operator/raft/transfer-leadership?id={heirs[0]['ID']}")
    return leads and bool(heirs)


def no_longer_leads(nomad: Nomad, name: str) -> str:
    """Whether somebody else leads: empty, or what is missing."""
    servers = nomad.state("/v1/operator/autopilot/health").get("Servers") or []
    leader = next((server["Name"].split(".")[0] for server in servers if server["Leader"]), "")
    return "" if leader not in ("", name) else f"the leader is {leader or 'nobody'}"


def is_back(own: Nomad, names: list[str]) -> str:
    """What this agent still lacks; empty: nothing. ``names``: the servers, where it is one."""
    state = own.state("/v1/agent/health")
    for part in ("server", "client"):
        if state.get(part) and not state[part]["ok"]:
            return f"its {part} says: {state[part]['message']}"
    if names and not all_back(own.state("/v1/operator/autopilot/health"), names):
        return "not all servers are healthy"
    return ""


def step_down(nomad: Nomad, name: str) -> None:
    """Hand over where that works. Where it does not, the others elect a leader once this one is gone."""
    with contextlib.suppress(NomadError):
        if hand_over(nomad, name):
            wait_for("for another leader", lambda: no_longer_leads(nomad, name), HANDOVER_S)


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "default": ""},
            "servers": {"type": "list", "elements": "str", "default": []},
            "command": {"type": "list", "elements": "str", "required": True},
            "running": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    if subprocess.run(given["running"], capture_output=True, check=False).returncode != 0:
        module.exit_json(changed=False, msg="it does not run")
    nomad = from_parameters(given)
    own = from_parameters({**given, "addresses": given["addresses"][:1]})
    name, limit = given["name"], given["timeout"]
    names = given["servers"] if name else []
    try:
        if name:
            wait_for("for the other servers before the restart", lambda: may_go(nomad, name, given["servers"]), limit)
            step_down(nomad, name)
        started = time.monotonic()
        done = subprocess.run(given["command"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            module.fail_json(msg=f"{' '.join(given['command'])}: {done.stderr.strip() or done.stdout.strip()}")
        wait_for("for the agent after the restart", lambda: is_back(own, names), limit)
        if name:
            time.sleep(STALE_S)
            wait_for("for all servers after the restart", lambda: is_back(own, names), limit)
    except NomadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    main()
