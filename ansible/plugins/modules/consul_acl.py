"""Ansible module: Consul's policies and tokens as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.consul_http import Consul, ConsulError, wait_until

DOCUMENTATION = """
module: consul_acl
short_description: Makes Consul's policies and tokens, and removes those of this program that are no longer wanted
description:
  - Runs on a machine with a Consul agent. Secrets come from the caller; nothing is printed.
  - Policies and tokens that somebody else made are left alone. The anonymous token loses whatever it has.
options:
  management:
    description: Management tokens; the first that Consul knows is used. The first one is made where it is missing.
    type: list
    elements: str
    required: true
  policies:
    description: Rules by the policy's name.
    type: dict
    default: {}
  tokens:
    description: Each with C(secret), and C(name) and C(policies) (names) or C(node) (the agent of that machine).
    type: list
    elements: dict
    default: []
  datacenter:
    description: Of the agents.
    type: str
    default: dc1
  retired:
    description: Secrets whose tokens go.
    type: list
    elements: str
    default: []
  tidy:
    description: Whether tokens and policies go that this module made and that are not named here.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for a leader that answers.
    type: int
    default: 60
"""

RETURN = """
made: {description: What was made or changed; names only., type: list}
removed: {description: What was removed; names only., type: list}
"""

# What this module made begins so.
MARK = "pipecatapp "
MANAGEMENT_POLICY = "00000000-0000-0000-0000-000000000001"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"


class Acl:
    """Brings Consul's state to what is wanted. ``dry``: only says what differs."""

    def __init__(self, consul: Consul, *, dry: bool = False) -> None:
        self._consul = consul
        self._dry = dry
        self.made: list[str] = []
        self.removed: list[str] = []

    def policies(self, wanted: dict[str, str]) -> None:
        """Make and change policies."""
        found = {policy["Name"]: policy for policy in self._consul.ask("GET", "acl/policies")}
        for name, rules in wanted.items():
            body = {"Name": name, "Description": f"{MARK}{name}", "Rules": rules}
            if name not in found:
                self._change(f"policy {name}", "acl/policy", body)
            elif self._consul.ask("GET", f"acl/policy/{found[name]['ID']}")["Rules"] != rules:
                self._change(f"policy {name}", f"acl/policy/{found[name]['ID']}", body)

    def tidy_policies(self, wanted: dict[str, str]) -> None:
        """Remove those of this module that nobody wants any more."""
        for policy in self._consul.ask("GET", "acl/policies"):
            name = policy["Name"]
            if name not in wanted and policy.get("Description", "").startswith(MARK):
                self._remove(f"policy {name}", f"acl/policy/{policy['ID']}")

    def tokens(self, wanted: Sequence[dict[str, Any]], *, tidy: bool) -> None:
        """Make, change and remove tokens."""
        kept = set()
        for token in wanted:
            body = {"SecretID": token["secret"], "Description": f"{MARK}{token['name']}", **token["grants"]}
            known = self._consul.knows(token["secret"])
            if known is None:
                made = self._change(f"token {token['name']}", "acl/token", body)
                kept.add(made.get("AccessorID", ""))
                continue
            kept.add(known["AccessorID"])
            if _grants(known) != _grants(token["grants"]):
                body = {**body, "AccessorID": known["AccessorID"]}
                self._change(f"token {token['name']}", f"acl/token/{known['AccessorID']}", body)
        for token in self._consul.ask("GET", "acl/tokens") if tidy else []:
            if token["AccessorID"] not in kept and token.get("Description", "").startswith(MARK):
                self._remove(f"token {token['Description'].removeprefix(MARK)}", f"acl/token/{token['AccessorID']}")

    def retire(self, secrets: Sequence[str]) -> None:
        """Remove the tokens of these secrets."""
        for secret in secrets:
            if (known := self._consul.knows(secret)) is not None:
                self._remove(f"token {known['Description'].removeprefix(MARK)}", f"acl/token/{known['AccessorID']}")

    def empty_anonymous(self) -> None:
        """Who shows no token may do nothing."""
        found = self._consul.ask("GET", f"acl/token/{ANONYMOUS}")
        if any(_grants(found).values()):
            body = {"AccessorID": ANONYMOUS, "Description": found["Description"], "Policies": []}
            self._change("token anonymous", f"acl/token/{ANONYMOUS}", body)

    def _change(self, what: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.made.append(what)
        return {} if self._dry else self._consul.ask("PUT", path, body)

    def _remove(self, what: str, path: str) -> None:
        self.removed.append(what)
        if not self._dry:
            self._consul.ask("DELETE", path)


def _grants(token: dict[str, Any]) -> dict[str, Any]:
    return {
        "policies": sorted(policy.get("Name") or policy["ID"] for policy in token.get("Policies") or []),
        "nodes": sorted((node["NodeName"], node["Datacenter"]) for node in token.get("NodeIdentities") or []),
        "services": sorted(service["ServiceName"] for service in token.get("ServiceIdentities") or []),
    }


def grants_of(token: dict[str, Any], datacenter: str) -> dict[str, Any]:
    """What a wanted token may do, in Consul's words."""
    if node := token.get("node"):
        return {"NodeIdentities": [{"NodeName": node, "Datacenter": datacenter}]}
    return {"Policies": [{"Name": name} for name in token["policies"]]}


def settle(params: dict[str, Any], consul: Consul, *, dry: bool = False) -> dict[str, Any]:
    """Bring everything to what is wanted; what the module returns.

    Raises:
        ConsulError: it cannot.
    """
    acl = Acl(consul, dry=dry)
    # The policies come first and the management token is made by the one before, so that nobody is locked out.
    acl.policies(params["policies"])
    management = {"name": "management", "secret": params["management"][0], "policies": ["global-management"]}
    wanted = [{**token, "grants": grants_of(token, params["datacenter"])} for token in [management, *params["tokens"]]]
    wanted = [{**token, "name": token.get("name") or f"agent {token['node']}"} for token in wanted]
    acl.tokens(wanted, tidy=params["tidy"])
    acl.empty_anonymous()
    acl.retire(params["retired"])
    if params["tidy"]:
        acl.tidy_policies(params["policies"])
    return {"changed": bool(acl.made or acl.removed), "made": acl.made, "removed": acl.removed}


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "management": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "policies": {"type": "dict", "default": {}},
            "tokens": {"type": "list", "elements": "dict", "default": [], "no_log": True},
            "datacenter": {"type": "str", "default": "dc1"},
            "retired": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "tidy": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    consul = Consul(params["management"])
    # A leader that was just elected makes its first token a moment later.
    missing = wait_until(params["timeout"], lambda: "" if consul.ask("GET", "acl/policies") else "no policies yet")
    if missing:
        module.fail_json(msg=f"Consul does not take the management token: {missing}; see journalctl --unit=consul")
    try:
        module.exit_json(**settle(params, consul, dry=module.check_mode))
    except ConsulError as error:
        module.fail_json(msg=f"{error}; run this again")


if __name__ == "__main__":
    main()
