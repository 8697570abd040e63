"""Ansible module: what the vault remembers of each expert, which is its key and its ports."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.private_folder import PrivateFolder, VaultError

DOCUMENTATION = """
module: expert_record
short_description: Remembers the key and the ports of each expert in the cluster's vault
description:
  - A key is made once for each service, so that all jobs of one service take the same; ports once for each job, the
    lowest block that no other job has.
  - The file is C(experts.yaml) in the vault, for its owner alone.
options:
  path:
    description: The vault.
    type: path
    required: true
  job:
    description: The expert's job.
    type: str
    required: true
  service:
    description: The service that it registers.
    type: str
    default: ""
  namespace:
    description: The namespace that its job is in.
    type: str
    default: default
  state:
    description: Whether it is remembered.
    type: str
    choices: [present, absent]
    default: present
  first_port:
    description: Where the first block of ports begins.
    type: int
    required: true
  last_port:
    description: Where the last block ends.
    type: int
    required: true
  block:
    description: How many ports a block has.
    type: int
    default: 10
"""

RETURN = """
known: {description: Whether the job was remembered before., type: bool}
before: {description: What was remembered of it before., type: dict}
port: {description: The first of its ports., type: int}
key: {description: The key of its service., type: str}
shared: {description: Whether another job has the same service., type: bool}
"""

_FILE = "experts.yaml"


def keep_record(given: dict[str, Any], *, dry: bool = False) -> dict[str, Any]:
    """Remember the expert, or forget it; what the module returns.

    Raises:
        VaultError: the vault cannot be used, or no ports are left.
    """
    vault = PrivateFolder(Path(given["path"]).expanduser(), dry=dry)
    with vault.locked():
        stored = vault.mapping(_FILE)
        jobs, keys = dict(stored.get("jobs", {})), dict(stored.get("keys", {}))
        before = dict(jobs.get(given["job"], {}))
        service = given["service"] or before.get("service", "")
        key = keys.get(service, "")
        if given["state"] == "present":
            key = keys.setdefault(service, key or secrets.token_urlsafe(32))
            port = before.get("port") or _free(jobs, given)
            jobs[given["job"]] = {"service": service, "namespace": given["namespace"], "port": port}
        else:
            port = before.get("port", 0)
            jobs.pop(given["job"], None)
        used = {job["service"] for job in jobs.values()}
        wanted = {"jobs": jobs, "keys": {name: secret for name, secret in keys.items() if name in used}}
        if wanted != stored and (stored or jobs):
            vault.write(_FILE, yaml.safe_dump(wanted).encode())
    others = [name for name, job in jobs.items() if job["service"] == service and name != given["job"]]
    return {
        "changed": bool(vault.made),
        "known": bool(before),
        "before": before,
        "port": port,
        "key": key,
        "shared": bool(others),
    }


def _free(jobs: dict[str, Any], given: dict[str, Any]) -> int:
    taken = {job["port"] for job in jobs.values()}
    blocks = range(given["first_port"], given["last_port"] - given["block"] + 2, given["block"])
    for port in blocks:
        if port not in taken:
            return port
    raise VaultError(
        f"all {len(blocks)} blocks of ports from {given['first_port']} are taken; take an expert away first"
    )


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "job": {"type": "str", "required": True},
            "service": {"type": "str", "default": ""},
            "namespace": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "first_port": {"type": "int", "required": True},
            "last_port": {"type": "int", "required": True},
            "block": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        result = keep_record(module.params, dry=module.check_mode)
    except VaultError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['path']}: {error.strerror}; check owner and free disk")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
