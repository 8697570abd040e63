"""Ansible module: the key with which Nomad's servers encrypt their gossip, turned while they run."""

from __future__ import annotations

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_keyring
short_description: Makes one key the only one of the gossip between Nomad's servers
description:
  - A new key is known to all servers before one uses it, and the old ones go last, so that nobody is cut off.
  - The token may write agents.
extends_documentation_fragment: [nomad_api]
options:
  key:
    description: The key, base64.
    type: str
    required: true
"""

RETURN = "{}"


def turn(nomad: Nomad, key: str, *, dry: bool = False) -> bool:
    """Leave ``key`` alone in the ring; whether that changed anything."""
    known = nomad.patiently("GET", "/v1/agent/keyring/list")["Keys"]
    if list(known) == [key]:
        return False
    if not dry:
        for step in ("install", "use"):
            nomad.patiently("PUT", f"/v1/agent/keyring/{step}", {"Key": key})
        for old in known:
            if old != key:
                nomad.patiently("PUT", "/v1/agent/keyring/remove", {"Key": old})
    return True


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "key": {"type": "str", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    changed = False
    try:
        changed = turn(from_parameters(module.params), module.params["key"], dry=module.check_mode)
    except NomadError as error:
        # A dry run before there is a cluster.
        if not (module.check_mode and error.passing):
            module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
