"""Ansible module: a namespace of Nomad, made where it is missing, and removed where this module made it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_namespace
short_description: Makes a namespace of Nomad, and removes one that it made
description:
  - One that is there already is left as it is, and stays when it is no longer needed; so does one with other jobs.
  - It has no quota. The token may manage namespaces.
extends_documentation_fragment: [nomad_api]
options:
  name:
    description: Its name.
    type: str
    required: true
  state:
    description: Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds until jobs that were just stopped are none any more.
    type: int
    default: 60
"""

RETURN = """
kept: {description: 'With C(state=absent), why it stays; empty where it is gone.', type: str}
"""

# What this module made says so.
MARK = "made by deploy_expert.yaml"
_BUILT_IN = "default"


def make(nomad: Nomad, name: str, *, dry: bool) -> bool:
    """Make it; whether it was missing."""
    if name == _BUILT_IN or nomad.find(_path(name)) is not None:
        return False
    if not dry:
        nomad.patiently("POST", "/v1/namespace", {"Name": name, "Description": MARK})
    return True


def remove(nomad: Nomad, name: str, limit: float, *, dry: bool) -> tuple[bool, str]:
    """Remove it where it is ours and empty: whether it did, and why not."""
    found = None if name == _BUILT_IN else nomad.find(_path(name))
    if found is None:
        return False, ""
    if found.get("Description") != MARK:
        return False, "it was there before"
    if jobs := [job["ID"] for job in nomad.get(f"/v1/jobs?namespace={quote(name, safe='')}") if _counts(job)]:
        return False, f"it has the jobs {', '.join(sorted(jobs))}"
    if dry:
        return True, ""
    deadline = time.monotonic() + limit
    while True:
        try:
            nomad.patiently("DELETE", _path(name))
        except NomadError as error:
            # What was stopped a moment ago still ends.
            if "non-terminal" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return True, ""
        time.sleep(0.5)


def _counts(job: dict[str, Any]) -> bool:
    """Whether somebody still wants it: a service that sleeps is as dead to Nomad as a measurement that is over."""
    return not job["Stop"] and (job["Status"] != "dead" or job["Type"] == "service")


def _path(name: str) -> str:
    return f"/v1/namespace/{quote(name, safe='')}"


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    nomad, kept = from_parameters(given), ""
    try:
        if given["state"] == "present":
            changed = make(nomad, given["name"], dry=module.check_mode)
        else:
            changed, kept = remove(nomad, given["name"], given["timeout"], dry=module.check_mode)
    except NomadError as error:
        module.fail_json(msg=f"namespace {given['name']}: {error}")
    module.exit_json(changed=changed, kept=kept)


if __name__ == "__main__":
    main()
