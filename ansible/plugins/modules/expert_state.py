"""Ansible module: waits until an expert answers, or says what keeps it; clears away what it left in Consul."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ansible.module_utils.consul_http import Consul, ConsulError, wait_until

DOCUMENTATION = """
module: expert_state
short_description: Waits until an expert makes words, or until nothing of it is left in Consul
description:
  - With C(present) until Consul shows one instance of the service that passes its check. Where none does in time, each
    rank is asked for its state, and the module fails with what they say.
  - With C(absent) the job's keys in Consul go, and it waits until its services are gone, too.
options:
  tokens:
    description: Tokens for Consul; the first that it knows is used.
    type: list
    elements: str
    required: true
  job:
    description: The expert's job.
    type: str
    required: true
  service:
    description: The service that it registers.
    type: str
    required: true
  key:
    description: The expert's key, by which a rank tells its state.
    type: str
    default: ""
  shared:
    description: Whether another job registers the same service, which then stays.
    type: bool
    default: false
  state:
    description: What to wait for.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait.
    type: int
    required: true
"""

RETURN = """
address: {description: Where it answers., type: str}
ranks: {description: 'What each rank says of itself, in words.', type: list}
"""

# How a rank's supervisor is asked; returns its answer, or raises OSError.
Ask = Callable[[str, str], dict[str, Any]]


def passing(consul: Consul, service: str) -> str:
    """Where an instance answers that passes all its checks; empty: none does."""
    for entry in consul.ask("GET", f"health/service/{quote(service, safe='')}?passing") or []:
        return f"{entry['Service']['Address'] or entry['Node']['Address']}:{entry['Service']['Port']}"
    return ""


def told(consul: Consul, job: str, key: str, ask: Ask) -> list[str]:
    """What each rank says of itself, by its node; a rank that Consul does not know says nothing."""
    said = []
    for entry in consul.ask("GET", f"health/service/{quote(job, safe='')}-rank") or []:
        service, node = entry["Service"], entry["Node"]["Node"]
        address = f"{service['Address'] or entry['Node']['Address']}:{service['Port']}"
        try:
            state = ask(f"http://{address}/state", key)
        except (OSError, ValueError) as error:
            said.append(f"{node} does not tell ({getattr(error, 'reason', error)})")
            continue
        words = ", ".join(str(state[name]) for name in ("phase", "engine", "model") if state.get(name))
        why = f": {state['why']}" if state.get("why") else ""
        said.append(f"rank {state.get('rank', '?')} on {node} is {words or 'silent'}{why}")
    return sorted(said)


def ask_rank(url: str, key: str) -> dict[str, Any]:
    """A supervisor's own report. Raises OSError or ValueError where there is none."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    # The machine's proxies are for the world outside.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
        found = json.loads(answer.read(1 << 20))
    if not isinstance(found, dict):
        raise ValueError("no report")
    return found


def await_words(consul: Consul, given: dict[str, Any], ask: Ask = ask_rank) -> tuple[str, list[str], str]:
    """Where it answers, what its ranks say, and what is missing (empty: nothing)."""
    if missing := wait_until(
        given["timeout"], lambda: "" if passing(consul, given["service"]) else "no instance passes"
    ):
        ranks = told(consul, given["job"], given["key"], ask)
        return "", ranks, "; ".join(ranks) or f"{missing}, and no rank of it is in Consul"
    return passing(consul, given["service"]), told(consul, given["job"], given["key"], ask), ""


def clear(consul: Consul, given: dict[str, Any], *, dry: bool) -> tuple[bool, str]:
    """Remove its keys, and wait until Consul has no service of it: whether there was any key, and what is left."""
    prefix = f"kv/experts/{quote(given['job'], safe='')}/"
    had = bool(consul.ask("GET", f"{prefix}?keys", also=(404,)) or [])
    if had and not dry:
        consul.ask("DELETE", f"{prefix}?recurse")
    names = [f"{given['job']}-rank", *([] if given["shared"] else [given["service"]])]

    def left() -> str:
        there = [name for name in names if name and consul.ask("GET", f"catalog/service/{quote(name, safe='')}")]
        return f"Consul still has {' and '.join(there)}" if there else ""

    return had, "" if dry else wait_until(given["timeout"], left)


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "tokens": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "job": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "key": {"type": "str", "default": "", "no_log": True},
            "shared": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    consul, address, changed = Consul(given["tokens"]), "", False
    ranks: list[str] = []
    try:
        if given["state"] == "absent":
            changed, missing = clear(consul, given, dry=module.check_mode)
        else:
            address, ranks, missing = await_words(consul, given)
    except ConsulError as error:
        missing = str(error)
    if missing:
        module.fail_json(msg=f"{given['job']} after {given['timeout']} s: {missing}", changed=changed, ranks=ranks)
    module.exit_json(changed=changed, address=address, ranks=ranks)


if __name__ == "__main__":
    main()
