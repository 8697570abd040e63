"""Ansible module: an introduction token for a machine that Nomad does not know yet."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_introduction
short_description: Fetches the token with which a new client enters a Nomad cluster
description:
  - Servers that enforce introductions take a client they do not know with such a token only. It is for one node name
    and some minutes. A client that they know keeps its own identity and needs none.
  - The token may write nodes.
extends_documentation_fragment: [nomad_api]
options:
  node:
    description: The node's name.
    type: str
    required: true
  data_dir:
    description: Nomad's folder of data on this node.
    type: path
    required: true
  ttl:
    description: For how long the token introduces, in minutes.
    type: int
    default: 15
"""

RETURN = """
known:
  description: Whether the servers know this client already.
  type: bool
"""


def known(nomad: Nomad, data: Path) -> bool:
    """Whether the servers know the client whose data lies here."""
    own = data / "client/client-id"
    return own.is_file() and nomad.find(f"/v1/node/{own.read_text(encoding='ascii').strip()}") is not None


def introduce(nomad: Nomad, node: str, data: Path, minutes: int) -> None:
    """Put a fresh token where the agent looks for one."""
    wanted = {"NodeName": node, "NodePool": "default", "TTL": minutes * 60 * 10**9}
    made = nomad.patiently("POST", "/v1/acl/identity/client-introduction-token", wanted)
    folder = data / "client"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "intro_token.jwt"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(made["JWT"], encoding="ascii")


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "node": {"type": "str", "required": True},
            "data_dir": {"type": "path", "required": True},
            "ttl": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    given = module.params
    nomad, data = from_parameters(given), Path(given["data_dir"])
    try:
        if known(nomad, data):
            module.exit_json(changed=False, known=True)
        if not module.check_mode:
            introduce(nomad, given["node"], data, given["ttl"])
    except NomadError as error:
        if not (module.check_mode and error.passing):
            module.fail_json(msg=f"no introduction for {given['node']}: {error}")
    module.exit_json(changed=True, known=False)


if __name__ == "__main__":
    main()
