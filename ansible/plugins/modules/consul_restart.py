"""Ansible module: restarts a Consul agent so that the cluster never lacks two servers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.consul_http import Consul, ConsulError, wait_until

DOCUMENTATION = """
module: consul_restart
short_description: Restarts a Consul agent and waits until the cluster is whole again
description:
  - For a handler with C(throttle 1). A server is restarted only while all other voters are there, and the module
    returns when it takes part again. So one that does not come back stops the play before a second one is touched.
  - An agent that does not run is started without waiting, because the servers that found a cluster need each other.
  - A configuration that Consul does not understand is refused while the agent still runs with the one before.
options:
  server:
    description: Whether the agent is a server.
    type: bool
    required: true
  restart:
    description: The command that restarts the service.
    type: list
    elements: str
    required: true
  program:
    description: The program that checks the configuration.
    type: path
    required: true
  config:
    description: The folder of the configuration.
    type: path
    required: true
  management:
    description: Management tokens; the first that Consul knows is used.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for the others before, and for this one after.
    type: int
    default: 120
"""

RETURN = """
waited: {description: Whether the agent was running before, so that its return was awaited., type: bool}
"""


class RestartError(Exception):
    """It is not restarted, or did not come back; the text says why and what to do."""


def absent_voters(consul: Consul) -> str:
    """Which voters are not there, as this agent sees it; empty where the cluster is whole."""
    if not consul.leader():
        return "there is no leader"
    servers = consul.ask("GET", "operator/raft/configuration?stale")["Servers"]
    alive = {member["Name"] for member in consul.ask("GET", "agent/members") if member["Status"] == 1}
    if missing := sorted(server["Node"] for server in servers if server["Voter"] and server["Node"] not in alive):
        return f"{', '.join(missing)} cannot be reached"
    if joining := sorted(server["Node"] for server in servers if not server["Voter"]):
        return f"{', '.join(joining)} has no vote yet"
    # Alive is not caught up: 429 where one lags. A new leader needs a moment to know.
    health = consul.ask("GET", "operator/autopilot/health", also=(429,))["Servers"] or []
    if len(health) < len(servers):
        return "the leader does not know how the others are"
    unwell = sorted(server["Name"] for server in health if not server["Healthy"])
    return f"{', '.join(unwell)} is not healthy yet" if unwell else ""


def log_of(consul: Consul) -> dict[str, Any]:
    """The part of a server's log: its state, its last entry."""
    raft: dict[str, Any] = consul.ask("GET", "agent/self")["Stats"]["raft"]
    return raft


def takes_part(consul: Consul, entries: int) -> str:
    """Empty once this server has all entries that there were before it was restarted, and the others are there."""
    raft = log_of(consul)
    if raft["state"] not in ("Leader", "Follower") or int(raft["applied_index"]) < entries:
        return f"its log is at {raft['applied_index']} of {entries}"
    return absent_voters(consul)


def restart(params: dict[str, Any], consul: Consul) -> dict[str, Any]:
    """Restart the agent; what the module returns.

    Raises:
        RestartError: it is not restarted, or did not come back.
    """
    run([params["program"], "validate", params["config"]], "Consul does not understand its configuration")
    try:
        consul.ask("GET", "status/peers", token="")
    except ConsulError:
        run(params["restart"], "the service does not start")
        return {"changed": True, "waited": False}
    entries = 0
    if params["server"] and consul.leader():
        if missing := wait_until(params["timeout"], lambda: absent_voters(consul)):
            raise RestartError(
                f"not restarted, because {missing}: bring the other servers up first, then run this again"
            )
        entries = int(log_of(consul)["last_log_index"])
    run(params["restart"], "the service does not start")
    back = (
        (lambda: takes_part(consul, entries)) if entries else (lambda: "" if consul.leader() else "it sees no leader")
    )
    if params["server"] and not entries:
        # There was no leader to lose; whether there is one now depends on the other servers.
        back = lambda: "" if consul.ask("GET", "status/peers", token="") is not None else "no answer"  # noqa: E731
    if missing := wait_until(params["timeout"], back):
        raise RestartError(f"restarted, but {missing}: see journalctl --unit=consul on this machine")
    return {"changed": True, "waited": True}


def run(command: Sequence[str], trouble: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-500:]
        raise RestartError(f"{trouble}: {said}; see journalctl --unit=consul on this machine")


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "server": {"type": "bool", "required": True},
            "restart": {"type": "list", "elements": "str", "required": True},
            "program": {"type": "path", "required": True},
            "config": {"type": "path", "required": True},
            "management": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, waited=False)
    try:
        module.exit_json(**restart(module.params, Consul(module.params["management"])))
    except (RestartError, ConsulError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
