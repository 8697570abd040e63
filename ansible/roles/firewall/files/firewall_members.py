"""Keeps the firewall's sets of members at what this machine's Consul agent knows.

``firewall_members.py FILE``; FILE is the JSON that the role writes: ``networks``, ``members`` (addresses by name, for
those whom Consul does not know yet), ``rules`` (the table's file), ``token`` (a file with Consul's token).

What Consul says is data: an address counts where it is one and lies within the networks. Needs CAP_NET_ADMIN, a folder
to keep its last answer in, and nothing else.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NFT = "/usr/sbin/nft"
KEPT = Path("/var/lib/pipecatapp-firewall/members.nft")
CONSUL = ("127.0.0.1", 8500)
# A set of nothing cannot be written for nft. From elsewhere the kernel takes neither.
LOOPBACK = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
# How long Consul holds a question back while nothing changes; so often the table is looked after, too.
WAIT_S = 20
PAUSE_S = 5.0
# A house is smaller than either.
MOST_BYTES = 4 << 20
MOST_MEMBERS = 1024
# Where a node of Consul's catalogue says its address.
_TAGS = ("lan", "lan_ipv4", "lan_ipv6")


def address_in(text: object, networks: Iterable[Network]) -> Address | None:
    """The address that a text is, where it is one of a machine in these networks."""
    if not isinstance(text, str):
        return None
    try:
        # An IPv6 scope would become text for nft.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    for network in networks:
        if address.version == network.version and address in network:
            ends = (network.network_address, network.broadcast_address)
            return None if network.num_addresses > 2 and address in ends else address
    return None


def members(nodes: object, known: Mapping[str, str], networks: Iterable[Network]) -> set[Address]:
    """The members' addresses: those in Consul's list of nodes, and known ones whom it does not list.

    Args:
        nodes: the answer of ``/v1/catalog/nodes``.
        known: addresses by name, from the inventory.
        networks: where members may be.
    """
    networks = list(networks)
    found: set[Address] = set()
    named: set[str] = set()
    for node in nodes if isinstance(nodes, list) else []:
        if not isinstance(node, dict):
            continue
        tagged = node.get("TaggedAddresses")
        texts = [node.get("Address"), *((tagged.get(tag) for tag in _TAGS) if isinstance(tagged, dict) else ())]
        addresses = {address for text in texts if (address := address_in(text, networks)) is not None}
        if addresses:
            named.add(str(node.get("Node", "")).lower())
            found |= addresses
    for name, text in known.items():
        if name.lower() not in named and (address := address_in(text, networks)) is not None:
            found.add(address)
    return set(sorted(found, key=lambda address: (address.version, int(address)))[:MOST_MEMBERS])


def listed(addresses: Iterable[Address], version: int) -> str:
    """A set's elements for nft: this machine, which is always one, and the addresses of this version of IP."""
    texts = sorted(str(address) for address in {*addresses, *LOOPBACK} if address.version == version)
    return f"{{ {', '.join(texts)} }}"


def commands(addresses: Iterable[Address]) -> str:
    """What makes nft replace both sets in one step."""
    return "".join(
        f"flush set inet pipecatapp members{version}\n"
        f"add element inet pipecatapp members{version} {listed(addresses, version)}\n"
        for version in (4, 6)
    )


def definitions(addresses: Iterable[Address]) -> str:
    """What the table's file takes in place of its own members."""
    return "".join(f"redefine members{version} = {listed(addresses, version)}\n" for version in (4, 6))


def present() -> set[Address] | None:
    """The addresses in the kernel's sets; None where the table is not there."""
    found: set[Address] = set()
    for version in (4, 6):
        answer = subprocess.run(
            [NFT, "--json", "list", "set", "inet", "pipecatapp", f"members{version}"], capture_output=True, check=False
        )
        if answer.returncode != 0:
            return None
        for item in json.loads(answer.stdout).get("nftables", []):
            found |= {ipaddress.ip_address(text) for text in item.get("set", {}).get("elem", [])}
    return found.difference(LOOPBACK)


def keep(text: str, file: Path) -> None:
    """Replace the file that the table's own includes, whole or not at all."""
    fresh = file.with_suffix(".new")
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(file)


class Consul:
    """The local agent's list of nodes, asked so that it answers when the list changes."""

    def __init__(self, token: Path, address: tuple[str, int] = CONSUL) -> None:
        self._token = token
        self._address = address
        self._index = "0"

    def nodes(self) -> Any:
        """The list, after a change or ``WAIT_S``.

        Raises:
            OSError: nobody answers, or not with a list.
        """
        connection = http.client.HTTPConnection(*self._address, timeout=WAIT_S + 15)
        try:
            headers = {"X-Consul-Token": self._token.read_text().strip()} if self._token.exists() else {}
            connection.request("GET", f"/v1/catalog/nodes?stale&wait={WAIT_S}s&index={self._index}", headers=headers)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES)
            if answer.status != 200:
                raise OSError(f"Consul answers {answer.status}: {body[:200].decode(errors='replace').strip()}")
            self._index = answer.headers.get("X-Consul-Index", "0") if answer.headers else "0"
            return json.loads(body)
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"Consul answers nonsense: {error}") from error
        finally:
            connection.close()

    def forget(self) -> None:
        """Ask from the beginning next time: the agent may have lost its numbers."""
        self._index = "0"


class Keeper:
    """Brings the kernel's sets to what is wanted, and says so."""

    def __init__(self, rules: str, kept: Path = KEPT) -> None:
        self._rules = rules
        self._kept = kept

    def apply(self, wanted: set[Address] | None) -> None:
        """Load the table where it is gone, then set the members; None: leave them.

        Raises:
            OSError, subprocess.CalledProcessError: nft cannot.
        """
        there = present()
        if there is None:
            print("the table was gone; loading it", flush=True)
            if subprocess.run([NFT, "--file", self._rules], check=False).returncode != 0:
                # Better the inventory's members than no table.
                self._kept.unlink(missing_ok=True)
                subprocess.run([NFT, "--file", self._rules], check=True)
            there = present()
        if wanted is None:
            return
        if there != wanted:
            subprocess.run([NFT, "--file", "-"], input=commands(wanted), text=True, check=True)
            print("members:", ", ".join(sorted(map(str, wanted))), flush=True)
        text = definitions(wanted)
        if not self._kept.exists() or self._kept.read_text() != text:
            keep(text, self._kept)


def main() -> None:
    """Run until SIGTERM."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    networks: list[Network] = [ipaddress.ip_network(text, strict=False) for text in settings["networks"]]
    consul, keeper, trouble = Consul(Path(settings["token"])), Keeper(settings["rules"]), ""
    while True:
        wanted, problem = None, ""
        try:
            wanted = members(consul.nodes(), settings["members"], networks)
        except OSError as error:
            problem = f"members stay as they are: {error}"
            consul.forget()
        try:
            keeper.apply(wanted)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            problem = f"the table cannot be set: {error}"
        if problem != trouble:
            print(problem or "Consul answers again", flush=True)
            trouble = problem
        # Also when the list changes all the time.
        time.sleep(PAUSE_S if problem else 1.0)


if __name__ == "__main__":
    main()
