"""Ansible module: restarts a NATS server so that its cluster never lacks two."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

DOCUMENTATION = """
module: nats_restart
short_description: Restarts a NATS server and waits until it takes part again
description:
  - For a handler with C(throttle 1). A server that takes part is restarted only while all others do, and the module
    returns when it has caught up. So one that does not come back stops the play before a second one is touched.
  - One that does not run, or takes no part, is restarted at once, because the servers that found a cluster need each
    other.
options:
  restart:
    description: The command that restarts the service.
    type: list
    elements: str
    required: true
  monitor:
    description: The server's monitor on this machine, such as C(http://127.0.0.1:8222).
    type: str
    required: true
  others:
    description: The names of the other servers.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for the others before, and for this one after.
    type: int
    default: 120
"""

RETURN = """
waited: {description: Whether it took part before, so that its return was awaited., type: bool}
"""


class RestartError(Exception):
    """It is not restarted, or did not come back; the text says why and what to do."""


class Monitor:
    """What a server says of itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        # A proxy of the house never knows this machine.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def takes_part(self) -> bool:
        """Whether it has a leader and all that its streams have."""
        return self._ask("healthz").get("status") == "ok"

    def missing(self, others: Sequence[str]) -> list[str]:
        """The servers that it has no way to."""
        routes = self._ask("routez").get("routes") or []
        there = {route.get("remote_name") for route in routes}
        return sorted(set(others) - there)

    def _ask(self, what: str) -> dict[str, Any]:
        try:
            with self._open(f"{self._url}/{what}", timeout=5) as answer:
                found = json.loads(answer.read())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def whole(monitor: Monitor, others: Sequence[str], timeout: float, pause: Callable[[float], None] = time.sleep) -> str:
    """Wait until the cluster is whole; what is missing then, empty where nothing is."""
    deadline = time.monotonic() + timeout
    while True:
        away = monitor.missing(others)
        healthy = monitor.takes_part()
        if healthy and not away:
            return ""
        if time.monotonic() > deadline:
            return f"{', '.join(away)} cannot be reached" if away else "it has no leader, or is behind"
        pause(0.5)


def restart(monitor: Monitor, command: Sequence[str], others: Sequence[str], timeout: float) -> bool:
    """Restart the server; whether its return was awaited.

    Raises:
        RestartError: the cluster is not whole, before or after.
    """
    waits = monitor.takes_part()
    if waits and (why := whole(monitor, others, timeout)):
        raise RestartError(f"NATS is not restarted: {why}. Bring that machine back, or take it out of the inventory")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RestartError(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    if waits and (why := whole(monitor, others, timeout)):
        raise RestartError(f"NATS did not come back: {why}. See `journalctl -u nats`")
    return waits


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "restart": {"type": "list", "elements": "str", "required": True},
            "monitor": {"type": "str", "required": True},
            "others": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, waited=False)
    given = module.params
    try:
        waited = restart(Monitor(given["monitor"]), given["restart"], given["others"], given["timeout"])
    except (RestartError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, waited=waited)


if __name__ == "__main__":
    main()
