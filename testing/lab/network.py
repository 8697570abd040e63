"""The network of a lab: a bridge in a control namespace, a link for each node, a way out through this machine.

Everything is named after the lab, so that whoever comes later finds what a killed one left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Private networks that labs choose from; the first of each is tried first.
NODES = [ipaddress.ip_network(f"10.77.{n}.0/24") for n in range(256)]
_UPLINKS = "10.78.{}.0/30"
_BRIDGE, _UPLINK = "br0", "uplink"
# The first nodes' addresses lie here; below are the bridge's and free ones.
FIRST_HOST = 11
# The table and the link are named alike; a link's name has 15 characters at most.
NAME = re.compile(r"[a-z][a-z0-9]{0,10}")


def command(*arguments: str, text: str | None = None) -> str:
    """Run a program to its end; what it printed.

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    done = subprocess.run(arguments, capture_output=True, text=True, input=text, stdin=None if text else -3)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def quietly(*arguments: str) -> bool:
    """Run a program whose failure means that there was nothing to do."""
    return subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def namespaces() -> list[str]:
    """The names of this machine's network namespaces."""
    return [line.split()[0] for line in command("ip", "netns", "list").splitlines()]


def free_subnet() -> ipaddress.IPv4Network:
    """The first network that no route of this machine leads to.

    Raises:
        RuntimeError: all of them are taken.
    """
    routes = json.loads(command("ip", "-json", "-4", "route", "show", "table", "all"))
    taken = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in routes
        if route["dst"] != "default" and route.get("type", "unicast") == "unicast"
    ]
    for network in NODES:
        uplink = _uplink_of(network)
        if not any(network.overlaps(other) or uplink.overlaps(other) for other in taken):
            return network
    raise RuntimeError("no network of 10.77.0.0/16 is free: take a lab down (testing/lab/down.sh)")


def _uplink_of(network: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    return ipaddress.ip_network(_UPLINKS.format(network.network_address.packed[2]))


@dataclass(frozen=True)
class Network:
    """The network of the lab of this name."""

    lab: str
    subnet: ipaddress.IPv4Network

    @property
    def namespace(self) -> str:
        """The one in which the bridge is and from which Ansible runs."""
        return f"lab-{self.lab}"

    @property
    def gateway(self) -> str:
        """The control namespace's own address."""
        return str(self.subnet.network_address + 1)

    def node_namespace(self, node: str) -> str:
        """The one that a node's systemd lives in."""
        return f"lab-{self.lab}-{node}"

    def inside(self, *arguments: str) -> list[str]:
        """A command line that runs in the control namespace; /sys and the mounts are this machine's."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *arguments]

    def up(self) -> None:
        """Make the control namespace with its bridge, and the way out."""
        ns, mtu = self.namespace, self.mtu
        command("ip", "netns", "add", ns)
        command("ip", "-n", ns, "link", "set", "lo", "up")
        command("ip", "-n", ns, "link", "add", _BRIDGE, "type", "bridge")
        command("ip", "-n", ns, "addr", "add", f"{self.gateway}/{self.subnet.prefixlen}", "dev", _BRIDGE)
        command("ip", "-n", ns, "link", "set", _BRIDGE, "up")

        link = f"lab-{self.lab}"
        outside, inside = list(_uplink_of(self.subnet).hosts())
        command("ip", "link", "add", link, "mtu", mtu, "type", "veth", "peer", "name", _UPLINK, "mtu", mtu, "netns", ns)
        command("ip", "addr", "add", f"{outside}/30", "dev", link)
        command("ip", "link", "set", link, "up")
        command("ip", "-n", ns, "addr", "add", f"{inside}/30", "dev", _UPLINK)
        command("ip", "-n", ns, "link", "set", _UPLINK, "up")
        command("ip", "-n", ns, "route", "add", "default", "via", str(outside))
        command("ip", "route", "add", str(self.subnet), "via", str(inside))
        command(*self.inside("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"))
        sources = f"{self.subnet}, {_uplink_of(self.subnet)}"
        rule = f'ip saddr {{ {sources} }} oifname != "{link}" masquerade'
        chain = f"chain out {{ type nat hook postrouting priority 100; {rule}; }}"
        command("nft", "-f", "-", text=f"table ip {self.table} {{\n{chain}\n}}\n")

    @property
    def table(self) -> str:
        """The one table of nftables that the lab has on this machine."""
        return f"lab_{self.lab}"

    def plug(self, node: str, address: str) -> None:
        """Give a node a namespace and a link to the bridge."""
        ns, mtu = self.node_namespace(node), self.mtu
        command("ip", "netns", "add", ns)
        command("ip", "-n", ns, "link", "set", "lo", "up")
        here = ("ip", "link", "add", self.cable(node), "mtu", mtu, "netns", self.namespace)
        # A card keeps its number over a power cut, or its neighbours look for the old one for a minute.
        card = ("name", "eth0", "address", self.card(node), "mtu", mtu, "netns", ns)
        command(*here, "type", "veth", "peer", *card)
        # Who gets an address announces it, as a client of DHCP does.
        notify = "echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify"
        command("nsenter", f"--net=/run/netns/{ns}", "sh", "-c", notify)
        command("ip", "-n", self.namespace, "link", "set", self.cable(node), "master", _BRIDGE, "up")
        self.address(node, address)

    def plug_machine(self, node: str) -> None:
        """Lay a cable from the bridge to a virtual machine, which has its card itself."""
        link = self.cable(node)
        command("ip", "-n", self.namespace, "tuntap", "add", "dev", link, "mode", "tap")
        command("ip", "-n", self.namespace, "link", "set", link, "mtu", self.mtu, "master", _BRIDGE, "up")

    @staticmethod
    def cable(node: str) -> str:
        """The name of a node's link, on the bridge's side."""
        return f"v-{node}"

    @staticmethod
    def card(node: str) -> str:
        """The number of a node's network card, which it keeps over a power cut."""
        digits = hashlib.sha256(node.encode()).hexdigest()
        return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])

    @property
    def mtu(self) -> str:
        """What the way out takes, so that nothing has to be cut on it."""
        routes = json.loads(command("ip", "-json", "-4", "route", "show", "default"))
        device = routes[0]["dev"] if routes else "lo"
        return str(min(1500, int(Path(f"/sys/class/net/{device}/mtu").read_text())))

    def address(self, node: str, address: str) -> None:
        """Give a node this address and no other, as its router does."""
        ns = self.node_namespace(node)
        command("ip", "-n", ns, "-4", "addr", "flush", "dev", "eth0")
        command("ip", "-n", ns, "addr", "add", f"{address}/{self.subnet.prefixlen}", "brd", "+", "dev", "eth0")
        command("ip", "-n", ns, "link", "set", "eth0", "up")
        command("ip", "-n", ns, "route", "replace", "default", "via", self.gateway)

    def more_address(self, node: str, address: str) -> None:
        """Give a node one more address, until it is plugged in anew."""
        command("ip", "-n", self.node_namespace(node), "addr", "add", f"{address}/32", "dev", "eth0")

    def link(self, node: str, up: bool) -> None:
        """Pull a node's cable, or plug it in again."""
        command("ip", "-n", self.namespace, "link", "set", self.cable(node), "up" if up else "down")

    def unplug(self, node: str) -> None:
        """Take a node's link and namespace away, with all addresses and rules that are in it."""
        # Gone at once here; the namespace itself ends when its last process has.
        quietly("ip", "-n", self.namespace, "link", "del", self.cable(node))
        quietly("ip", "netns", "del", self.node_namespace(node))

    def down(self) -> None:
        """Remove all of it, whatever is there."""
        quietly("nft", "delete", "table", "ip", self.table)
        quietly("ip", "link", "del", f"lab-{self.lab}")  # its route goes with it
        found = namespaces()
        if self.namespace in found:
            _end_processes(lambda: command("ip", "netns", "pids", self.namespace))
            command("ip", "netns", "del", self.namespace)
        for name in found:
            if name.startswith(f"{self.namespace}-"):
                command("ip", "netns", "del", name)


def _end_processes(pids: Callable[[], str], limit_s: float = 30) -> None:
    """What lives in the control namespace: Ansible's kept connections, a play that was left alone."""
    deadline = time.monotonic() + limit_s
    while found := [int(pid) for pid in pids().split()]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of a control namespace did not end: {found}")
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
