"""Ansible module: the cluster's secrets and certificates, in one private folder on the control node."""

from __future__ import annotations

import base64
import os
import re
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.cluster_authority import CLIENTS, PROGRAMS, Authority, certificate_names
from ansible.module_utils.private_folder import PrivateFolder, VaultError

DOCUMENTATION = """
module: cluster_vault
short_description: Makes and keeps the secrets and certificates of a cluster
description:
  - Makes what is missing in the folder, and what expires soon; changes nothing else. A crash leaves the old state or
    the new one; two runs at once found one vault.
  - It refuses a folder or a file that others may read.
options:
  path:
    description: The folder; empty for C(/etc/pipecatapp-cluster), or C(~/.config/pipecatapp-cluster) of another user.
    type: path
    default: ""
  datacenter:
    description: Consul's datacenter, part of the names in the certificates.
    type: str
    required: true
  region:
    description: Nomad's region, part of the names in the certificates.
    type: str
    required: true
  members:
    description: The machines by name, each with C(address), C(network) and C(server). What an earlier run knew of
      another one is kept.
    type: dict
    required: true
  may_found:
    description: Whether a vault may be founded where there is none.
    type: bool
    default: true
  rotate:
    description: What is made anew though it is there. The values before stay in C(previous) until C(settle).
    type: list
    elements: str
    choices: [certificates, gossip, tokens, nats_passwords]
    default: []
  settle:
    description: Forget the values from before the rotation, because nothing uses them any more.
    type: bool
    default: false
  keep:
    description: Secrets that a program made itself, put beside the others, such as C({nomad {app_token ...}}).
    type: dict
    default: {}
  adopt:
    description: C(members) and C(agent_tokens) of machines that another control node of this cluster let join. What
      this vault knows already counts more.
    type: dict
    default: {}
  forget:
    description: Machines that left. Their tokens and certificates go.
    type: list
    elements: str
    default: []
"""

RETURN = """
path: {description: The folder., type: str}
founded: {description: Whether this run founded the vault., type: bool}
made: {description: The names of what was made anew. No secret., type: list}
secrets: {description: The content of secrets.yaml., type: dict}
members: {description: All machines that the vault knows., type: dict}
authority: {description: The certificate of the cluster's authority., type: str}
certificates: {description: For each machine and program a certificate and its key., type: dict}
"""

VERSION = 1
ROTATES = ["certificates", "gossip", "tokens", "nats_passwords"]
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")


def _gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _token() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def _password() -> str:
    return secrets.token_urlsafe(32)


# What each program's part of the vault holds, how it is made, and by which word it is made anew.
SHAPE: dict[str, dict[str, tuple[Callable[[], str], str]]] = {
    "consul": {
        "gossip_key": (_gossip_key, "gossip"),
        "management_token": (_token, "tokens"),
        "nomad_token": (_token, "tokens"),
        "nomad_client_token": (_token, "tokens"),
        "app_token": (_token, "tokens"),
        "expert_token": (_token, "tokens"),
        "firewall_token": (_token, "tokens"),
    },
    # Servers take a management token once, at their founding.
    "nomad": {
        "gossip_key": (_gossip_key, "gossip"),
        "management_token": (_token, ""),
        "app_token": (_token, "tokens"),
    },
    "nats": {
        "system_password": (_password, "nats_passwords"),
        "app_password": (_password, "nats_passwords"),
        "route_password": (_password, "nats_passwords"),
    },
}


def settle_secrets(known: dict[str, Any], nodes: list[str], params: dict[str, Any]) -> dict[str, Any]:
    """The secrets as they should be: what was known, what is missing, what is to be made anew."""
    wanted: dict[str, Any] = {"version": VERSION}
    # A rotation that was interrupted goes on: the value that the servers still have is never lost.
    rotating = set() if known.get("previous") else set(params["rotate"])
    previous: dict[str, Any] = {} if params["settle"] else dict(known.get("previous", {}))

    for program, fields in SHAPE.items():
        part = dict(known.get(program, {}))
        for field, (make, word) in fields.items():
            if word in rotating and field in part:
                previous.setdefault(program, {})[field] = part.pop(field)
            part.setdefault(field, make())
        wanted[program] = {**part, **params["keep"].get(program, {})}

    agents = {**params["adopt"].get("agent_tokens", {}), **wanted["consul"].get("agent_tokens", {})}
    if "tokens" in rotating and agents:
        previous.setdefault("consul", {})["agent_tokens"] = agents
        agents = dict.fromkeys(agents, "")
    for node in nodes:
        agents.setdefault(node, "")
    wanted["consul"]["agent_tokens"] = {
        node: token or _token() for node, token in agents.items() if node not in params["forget"]
    }
    if previous:
        wanted["previous"] = previous
    return wanted


def certificates(vault: PrivateFolder, members: dict[str, Any], params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The authority's certificate, and for each machine and program a certificate and a key."""
    authority = Authority(vault)
    places = {"nomad": params["region"]}
    issued: dict[str, Any] = {}
    for node, member in members.items():
        for program in PROGRAMS:
            serves = program not in CLIENTS
            role = "server" if member["server"] and serves else "client"
            place = places.get(program, params["datacenter"])
            names = certificate_names(role, program, place, node, member["address"])
            pair = authority.keep_pair(
                f"nodes/{node}/{program}", names, anew="certificates" in params["rotate"], serves=serves
            )
            issued.setdefault(node, {})[program] = dict(zip(("certificate", "key"), pair, strict=True))
    return authority.pem.decode(), issued


def default_path() -> Path:
    """Root's vault is the machine's; anybody else's is in the home folder."""
    return Path("/etc/pipecatapp-cluster") if os.geteuid() == 0 else Path.home() / ".config/pipecatapp-cluster"


def keep_vault(path: Path, params: dict[str, Any], *, dry: bool = False) -> dict[str, Any]:
    """Make what is missing; what the module returns.

    Raises:
        VaultError: it cannot be used, or may not be founded.
    """
    adopted = params["adopt"].get("members", {})
    for node in [*params["members"], *adopted, *params["forget"]]:
        if not _NAME.match(node):
            raise VaultError(
                f"{node!r} is no name for a machine: letters, digits, dots and hyphens; change the inventory"
            )
    vault = PrivateFolder(path, dry=dry)
    if not params["may_found"] and not (path / "secrets.yaml").exists():
        raise VaultError(
            f"{path} has no secrets.yaml, but the machines already are a cluster. Restore the vault on this control"
            " node (pipecatapp restore FILE), or name it with CLUSTER_VAULT=/folder. Nothing was changed"
        )
    with vault.locked():
        stored = vault.read("secrets.yaml")
        known = vault.mapping("secrets.yaml")
        if known.get("version", VERSION) > VERSION:
            raise VaultError(f"{path} was written by a newer version of this program; update this control node")
        remembered = vault.mapping("members.yaml")
        members = {**adopted, **remembered, **params["members"]}
        members = {node: member for node, member in sorted(members.items()) if node not in params["forget"]}
        wanted = settle_secrets(known, list(members), params)
        if wanted != known:
            vault.write("secrets.yaml", yaml.safe_dump(wanted).encode())
        if members != remembered:
            vault.write("members.yaml", yaml.safe_dump(members).encode())
        authority, issued = certificates(vault, members, params)
        for node in params["forget"]:
            for program in PROGRAMS:
                vault.remove(f"nodes/{node}/{program}.key")
                vault.remove(f"nodes/{node}/{program}.pem")
    return {
        "changed": bool(vault.made),
        "path": str(path),
        "founded": stored is None,
        "made": vault.made,
        "secrets": wanted,
        "members": members,
        "authority": authority,
        "certificates": issued,
    }


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": ""},
            "datacenter": {"type": "str", "required": True},
            "region": {"type": "str", "required": True},
            "members": {"type": "dict", "required": True},
            "may_found": {"type": "bool", "default": True},
            "rotate": {
                "type": "list",
                "elements": "str",
                "choices": ROTATES,
                "default": [],
            },
            "settle": {"type": "bool", "default": False},
            "keep": {"type": "dict", "default": {}, "no_log": True},
            # With no_log its tokens would be struck out of what is returned; the task hides both.
            "adopt": {"type": "dict", "default": {}, "no_log": False},
            "forget": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"]).expanduser() if module.params["path"] else default_path()
    try:
        result = keep_vault(path, module.params, dry=module.check_mode)
    except VaultError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror}; check the owner and the free disk")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
