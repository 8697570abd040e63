"""The requests: one JSON object on one line, with exactly these three fields."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from node_admin.errors import RefusedError

Verb = Literal["join", "remove", "heal", "wake"]
VERBS: tuple[str, ...] = get_args(Verb)
LONGEST_LINE = 1024  # bytes

_NODE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_APPROVAL = re.compile(r"[0-9a-f]{16}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_RESERVED = frozenset({"all", "ungrouped", "localhost"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. ``node`` is empty where all are meant (heal)."""

    verb: Verb
    node: str
    approval: str


def parse(line: bytes) -> Request:
    """The request of a line.

    Raises:
        RefusedError: it is none.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise RefusedError("this is no line of JSON") from None
    if not isinstance(fields, dict) or set(fields) != {"verb", "node", "approval"}:
        raise RefusedError("a request has the fields verb, node and approval, and no other")
    verb, node, approval = fields["verb"], fields["node"], fields["approval"]
    if verb not in VERBS:
        raise RefusedError(f"a request is one of {', '.join(VERBS)}")
    if not isinstance(approval, str) or _APPROVAL.fullmatch(approval) is None:
        raise RefusedError("approval is the id of a person's yes: 16 digits of 0-9 and a-f")
    return Request(verb, check_node(node, may_be_empty=verb == "heal"), approval)


def check_node(name: object, may_be_empty: bool = False) -> str:
    """The name of a node.

    Raises:
        RefusedError: it is none.
    """
    if name == "" and may_be_empty:
        return ""
    if not isinstance(name, str) or _NODE.fullmatch(name) is None or name in _RESERVED or name.isdecimal():
        raise RefusedError("a node's name has 1 to 63 small letters, digits and hyphens")
    return name


@dataclass(frozen=True, slots=True)
class NewNode:
    """What a person agreed to for a join. ``host_key`` is the fingerprint of its key; ``mac`` may be empty."""

    address: str
    host_key: str
    user: str
    mac: str


def check_new_node(arguments: Mapping[str, Any], networks: Sequence[ipaddress.IPv4Network]) -> NewNode:
    """The agreed arguments of a join.

    Raises:
        RefusedError: one of them cannot be, or the address is not in the house.
    """
    address, host_key = arguments.get("address"), arguments.get("host_key")
    user, mac = arguments.get("user", "deploy"), arguments.get("mac", "")
    try:
        number = ipaddress.IPv4Address(address if isinstance(address, str) else "")
    except ValueError:
        raise RefusedError("address is no IPv4 address") from None
    house = next((network for network in networks if number in network), None)
    if house is None or number in (house.network_address, house.broadcast_address):
        raise RefusedError(
            f"{number} is not an address of this house ({', '.join(map(str, networks)) or 'none is set'})"
        )
    if not isinstance(host_key, str) or _FINGERPRINT.fullmatch(host_key) is None:
        raise RefusedError("host_key is the fingerprint that setup.sh printed on the new machine: SHA256:...")
    if not isinstance(user, str) or re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user) is None or user == "root":
        raise RefusedError("user is the account by which Ansible logs in, not root")
    if not isinstance(mac, str) or (mac and _MAC.fullmatch(mac.lower()) is None):
        raise RefusedError("mac is the card's address, such as 00:11:22:33:44:55")
    return NewNode(str(number), host_key, user, mac.lower())
