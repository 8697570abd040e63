"""Ansible module: gives services that were registered with a token that goes the one that came in its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

DOCUMENTATION = """
module: consul_retoken
short_description: Changes the token with which services of a Consul agent were registered
description:
  - An agent says how a service is with the token that registered it, and keeps that token in its data folder. Who
    registered it does not do so again while nothing else changes (a job of Nomad runs for months). Once Consul has
    forgotten the token, nobody hears any more whether the service works.
  - The agent reads the tokens again when it is reloaded. Nothing is registered anew, so no service is away meanwhile.
options:
  data:
    description: The agent's data folder.
    type: path
    required: true
  before:
    description: The tokens that go, by name; C(agent_tokens) are a dict of them.
    type: dict
    required: true
  now:
    description: The tokens that came in their place, by the same names.
    type: dict
    required: true
"""

RETURN = """
count: {description: How many services and checks have another token now., type: int}
"""


def pairs(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """For each token that goes the one in its place."""
    found: dict[str, str] = {}
    for name, value in before.items():
        if isinstance(value, dict):
            found |= pairs(value, now.get(name) or {})
        elif value and now.get(name):
            found[value] = now[name]
    return found


def replace_tokens(data: Path, instead: dict[str, str], *, dry: bool = False) -> int:
    """Change the tokens in what the agent keeps of its services and checks; how many."""
    count = 0
    for kind in ("services", "checks"):
        folder = data / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            # What Consul is just writing ends in tmp.
            if path.name.endswith("tmp") or path.is_symlink() or not path.is_file():
                continue
            kept = _parsed(path)
            if kept.get("Token") in instead:
                count += 1
                if not dry:
                    _replace(path, json.dumps({**kept, "Token": instead[kept["Token"]]}).encode())
    return count


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):  # gone meanwhile, or none of Consul's: it says so itself
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, content: bytes) -> None:
    """The same file with another content: its owner and its mode stay. The folder is the agent's own, so nothing that
    lies there is followed."""
    before = path.stat(follow_symlinks=False)
    fresh = path.with_name(f"{path.name}.tmp")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchown(descriptor, before.st_uid, before.st_gid)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "before": {"type": "dict", "required": True, "no_log": True},
            "now": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        count = replace_tokens(Path(given["data"]), pairs(given["before"], given["now"]), dry=module.check_mode)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}; check the disk of {given['data']}")
    module.exit_json(changed=bool(count), count=count)


if __name__ == "__main__":
    main()
