"""Ansible module: the gossip key of a living Consul cluster."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from ansible.module_utils.consul_http import Consul, ConsulError
from ansible.module_utils.others_folder import read_inside, unlink_inside

DOCUMENTATION = """
module: consul_keyring
short_description: Makes the living members of a Consul cluster use a gossip key
description:
  - Every member learns the key before anybody uses it, and the others go when everybody does. Nobody restarts.
  - A key ring that a machine kept on its disk while it was off is removed where the key is not in it, so that the
    machine takes the key of its configuration at its next start.
options:
  key:
    description: The key.
    type: str
    required: true
  management:
    description: Management tokens; the first that Consul knows is used.
    type: list
    elements: str
    required: true
  file:
    description: The key ring on the disk of an agent that does not run, below C(data); then nobody is asked.
    type: str
  data:
    description: The agent's folder, which its user may write.
    type: path
    default: /opt/consul
"""

RETURN = """
replaced: {description: How many keys were removed., type: int}
"""


# Each key has 44 bytes.
_LONGEST_RING = 1 << 20


def turn(consul: Consul, key: str, *, dry: bool = False) -> dict[str, Any]:
    """Let all members use this key alone; what the module returns."""
    rings = [ring for ring in consul.ask("GET", "operator/keyring?local-only=true") if not ring.get("WAN")]
    known = {other: count for ring in rings for other, count in ring["Keys"].items()}
    members = max(ring["NumNodes"] for ring in rings)
    others = [other for other in known if other != key]
    changed = bool(others) or known.get(key) != members
    if changed and not dry:
        if known.get(key) != members:
            consul.ask("POST", "operator/keyring", {"Key": key})
        consul.ask("PUT", "operator/keyring", {"Key": key})
        for other in others:
            consul.ask("DELETE", "operator/keyring", {"Key": other})
    return {"changed": changed, "replaced": len(others)}


def forget_ring(data: Path, file: PurePath, key: str, *, dry: bool = False) -> dict[str, Any]:
    """Remove a key ring in which the key is not, or what lies in its place; what the module returns."""
    try:
        content = read_inside(data, file, _LONGEST_RING)
        stale = content is not None and key not in json.loads(content)
    except (OSError, ValueError, RecursionError, TypeError):
        stale = True
    if stale and not dry:
        unlink_inside(data, file)
    return {"changed": stale, "replaced": int(stale)}


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "key": {"type": "str", "required": True, "no_log": True},
            "management": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "file": {"type": "str"},
            "data": {"type": "path", "default": "/opt/consul"},
        },
        supports_check_mode=True,
    )
    key, dry = module.params["key"], module.check_mode
    try:
        if module.params["file"]:
            data, file = Path(module.params["data"]), PurePath(module.params["file"])
            module.exit_json(**forget_ring(data, file, key, dry=dry))
        module.exit_json(**turn(Consul(module.params["management"]), key, dry=dry))
    except ConsulError as error:
        module.fail_json(msg=f"{error}; run this again")
    except OSError as error:
        module.fail_json(msg=f"the key ring {error.filename} cannot be removed: {error.strerror}; look at it by hand")


if __name__ == "__main__":
    main()
