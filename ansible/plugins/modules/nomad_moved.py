"""Ansible module: what Nomad runs under an address that its machine no longer has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_moved
short_description: Has instances started anew whose machine got another address
description:
  - An instance keeps the address that it was placed with. Where its machine comes back with another one before Nomad
    missed it, the instance runs on, Consul looks for it where nobody is, and it is never well again. It is stopped,
    so that Nomad places it anew.
  - The token may stop instances.
extends_documentation_fragment: [nomad_api]
"""

RETURN = """
stopped: {description: The jobs whose instances are placed anew., type: list}
"""


def left_behind(nomad: Nomad) -> Iterator[dict[str, Any]]:
    """The instances that run under an address which their machine does not have."""
    machines: dict[str, set[str]] = {}
    for instance in nomad.patiently("GET", "/v1/allocations?resources=true&namespace=*"):
        if instance["ClientStatus"] != "running" or instance["DesiredStatus"] != "run":
            continue
        shared = (instance.get("AllocatedResources") or {}).get("Shared") or {}
        given = {network.get("IP") for network in shared.get("Networks") or []} - {None, ""}
        machine = instance["NodeID"]
        if given and machine not in machines:
            machines[machine] = addresses_of(nomad.get(f"/v1/node/{machine}"))
        if given - machines.get(machine, set()):
            yield instance


def addresses_of(node: dict[str, Any]) -> set[str]:
    """All addresses that a client found on its machine when it started."""
    resources = node["NodeResources"]
    found = {network.get("IP", "") for network in resources.get("Networks") or []}
    for network in resources.get("NodeNetworks") or []:
        found |= {address["Address"] for address in network.get("Addresses") or []}
    return found


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    nomad = from_parameters(module.params)
    stopped = []
    try:
        for instance in left_behind(nomad):
            stopped.append(instance["JobID"])
            if not module.check_mode:
                nomad.request("POST", f"/v1/allocation/{instance['ID']}/stop?namespace={instance['Namespace']}")
    except NomadError as error:
        if not (module.check_mode and error.passing):
            module.fail_json(msg=f"what runs under an old address cannot be told: {error}")
    module.exit_json(changed=bool(stopped), stopped=stopped)


if __name__ == "__main__":
    main()
