"""Ansible module: who may do what in Nomad: the first token, policies, tokens with given secrets."""

from __future__ import annotations

import uuid
from typing import Any

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_acl
short_description: Makes the first management token, policies and tokens of a Nomad cluster
description:
  - The secrets are given, not taken from Nomad, so that they can be kept before they are used. A second run changes
    nothing; another secret for a token replaces the token, the new one first.
  - The token is the one that the first management token has or gets.
extends_documentation_fragment: [nomad_api]
options:
  policies:
    description: The rules (HCL) by the policy's name.
    type: dict
    default: {}
  tokens:
    description: Client tokens, each with `name`, `secret` and `policies`.
    type: list
    elements: dict
    default: []
  timeout:
    description: Seconds to wait for a leader.
    type: int
    default: 90
"""

RETURN = """
changes:
  description: What was made or replaced, in words.
  type: list
  elements: str
"""


class Access:
    """The access rules of a cluster.

    Args:
        nomad: its API, asked with the management token.
        token: the SecretID of that token.
        dry: only tell what would change.
        limit: seconds to wait for a leader.
    """

    def __init__(self, nomad: Nomad, token: str, *, dry: bool, limit: float) -> None:
        self._nomad = nomad
        self._token = token
        self._dry = dry
        self._limit = limit
        self.changes: list[str] = []

    def bootstrap(self) -> None:
        """Make the management token the first token, where there is none yet.

        Raises:
            NomadError: another token was the first one.
        """
        try:
            self._nomad.patiently("GET", "/v1/acl/token/self", limit=0 if self._dry else self._limit)
            return
        except NomadError as error:
            if error.passing and not self._dry:
                raise
        if not self._dry:
            self._nomad.patiently(
                "POST", "/v1/acl/bootstrap", {"BootstrapSecret": self._token}, limit=self._limit
            )  # fmt: skip
        self.changes.append("made the management token")

    def policy(self, name: str, rules: str) -> None:
        """Give the policy these rules."""
        found = self._find(f"/v1/acl/policy/{name}")
        if found is None or found["Rules"] != rules:
            self._do("POST", f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
            self.changes.append(f"wrote the policy {name}")

    def client_token(self, name: str, secret: str, policies: list[str]) -> None:
        """Make the token with this secret, then take away others of that name."""
        accessor = accessor_of(secret)
        found = self._find(f"/v1/acl/token/{accessor}")
        if found is None or sorted(found["Policies"] or []) != sorted(policies):
            token = {"AccessorID": accessor, "SecretID": secret, "Name": name, "Type": "client", "Policies": policies}
            self._do("POST", f"/v1/acl/token/{accessor}", token)
            self.changes.append(f"made the token {name}")
        for other in self._find("/v1/acl/tokens") or []:
            if other["Name"] == name and other["AccessorID"] != accessor:
                self._do("DELETE", f"/v1/acl/token/{other['AccessorID']}", None)
                self.changes.append(f"removed an older token {name}")

    def _find(self, path: str) -> Any:
        try:
            return self._nomad.find(path)
        except NomadError as error:
            # A dry run before there is a cluster.
            if self._dry and (error.passing or self.changes):
                return None
            raise

    def _do(self, method: str, path: str, body: Any) -> None:
        if not self._dry:
            self._nomad.patiently(method, path, body, limit=self._limit)


def accessor_of(secret: str) -> str:
    """The public name of a token, which says nothing about its secret."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, secret))


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "policies": {"type": "dict", "default": {}},
            "tokens": {"type": "list", "elements": "dict", "default": [], "no_log": True},
            "timeout": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    given = module.params
    access = Access(from_parameters(given), given["token"], dry=module.check_mode, limit=given["timeout"])
    try:
        access.bootstrap()
        for name, rules in given["policies"].items():
            access.policy(name, rules)
        for token in given["tokens"]:
            access.client_token(token["name"], token["secret"], token["policies"])
    except NomadError as error:
        hint = ""
        if "bootstrap already done" in str(error):
            hint = (
                "\nThis cluster was founded with another management token than the vault's: bring back the vault "
                "(`pipecatapp restore`), or reset the token (docs/operations, 'the vault is lost')."
            )
        module.fail_json(msg=f"{error}{hint}")
    module.exit_json(changed=bool(access.changes), changes=access.changes)


if __name__ == "__main__":
    main()
