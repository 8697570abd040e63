"""PCs for the tests of initial-setup/: each with one way of managing its card, in a house with DHCP and IPv6."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from testing.lab.lab import Lab
from testing.lab.node import Node, wait_until
from testing.provision.entered import Result

FOLDER = Path(__file__).resolve().parents[2] / "initial-setup"
PREFIX = "fd00:77::"
PROGRAM = "/root/initial-setup/setup.sh"
STATE = "/var/lib/pipecatapp-setup"

_ROUTER = """[Match]
Name=eth0
[Network]
Address={address}/24
Address={prefix}1/64
Gateway={gateway}
DHCPServer=yes
IPv6SendRA=yes
IPv6AcceptRA=no
[DHCPServer]
PoolOffset=100
PoolSize=50
Router={gateway}
DNS={gateway}
[IPv6Prefix]
Prefix={prefix}/64
"""

# How the installer, or a person, leaves a card with each of them.
_NETWORKD = """
cat >/etc/systemd/network/50-dhcp.network <<E
[Match]
Name=e*
[Network]
DHCP=yes
E
ip -4 addr flush dev eth0
systemctl enable --quiet --now systemd-networkd 2>/dev/null
"""
_IFUPDOWN = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq install -y --no-install-recommends ifupdown isc-dhcp-client >/dev/null 2>&1
cat >/etc/network/interfaces <<E
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
iface eth0 inet6 auto
E
systemctl enable --quiet networking
ip -4 addr flush dev eth0
ip link set eth0 down
ifup eth0 >/dev/null 2>&1
"""
_NETWORK_MANAGER = """
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/NetworkManager/conf.d
printf '[device]\\nmatch-device=interface-name:eth0\\nmanaged=1\\n' >/etc/NetworkManager/conf.d/card.conf
apt-get -qq update && apt-get -qq install -y --no-install-recommends network-manager >/dev/null 2>&1
ip -4 addr flush dev eth0
nmcli --wait 30 connection add type ethernet ifname eth0 con-name house >/dev/null
nmcli --wait 30 connection up house >/dev/null
"""
MANAGERS = {"networkd": _NETWORKD, "ifupdown": _IFUPDOWN, "NetworkManager": _NETWORK_MANAGER}


@dataclass
class House:
    """A lab with a router that gives addresses, which is the control node, too."""

    lab: Lab
    router: Node

    def pc(self, manager: str) -> Pc:
        """A PC whose card has addresses of both kinds by this manager."""
        name = manager.lower()[:12]
        pc = Pc(self, self.lab.add(name)[0], manager, self.lab.free_address())
        made = pc.node.run("sh", "-ec", MANAGERS[manager], limit_s=300)
        assert made.code == 0, made.output
        wait_until(f"addresses of both kinds on {name}", lambda: pc.has_dhcp and pc.has_ipv6, 60)
        shutil.copytree(FOLDER, pc.node.root / "root/initial-setup")
        return pc


def house(lab: Lab) -> House:
    """The lab as a house."""
    router = lab.add("router")[0]
    text = _ROUTER.format(address=router.address, gateway=lab.network.gateway, prefix=PREFIX)
    (router.root / "etc/systemd/network/10-eth0.network").write_text(text)
    router.run("systemctl", "start", "systemd-networkd")
    return House(lab, router)


@dataclass
class Pc:
    """One PC that becomes a node."""

    house: House
    node: Node
    manager: str
    free: str  # an address that it may have

    def do(self, command: str, limit_s: float = 120) -> Result:
        """Run shell code on its console."""
        return self.node.run("sh", "-c", command, limit_s=limit_s)

    def write(self, **settings: str) -> None:
        """Write its setup.conf."""
        gateway = self.house.lab.network.gateway
        defaults = {
            "HOSTNAME": "node2", "USERNAME": "deploy", "NETMASK": "24", "GATEWAY": gateway,
            "CONTROL_NODE_IP": self.house.router.address,
        }  # fmt: skip
        lines = [f"{key}={value}\n" for key, value in {**defaults, **settings}.items()]
        (self.node.root / "root/initial-setup/setup.conf").write_text("".join(lines))

    def setup(self, *options: str, limit_s: float = 120) -> Result:
        """Run setup.sh on its console."""
        return self.node.run("bash", PROGRAM, *options, limit_s=limit_s)

    def boot(self) -> None:
        """Cut its power and boot it. A lab's card has an address from the beginning, which no real one has."""
        self.node.power_cut()
        self.node.start()
        unit = {"networkd": "systemd-networkd", "ifupdown": "networking"}.get(self.manager, "NetworkManager")
        forget = "ip -4 addr flush dev eth0; ip link set eth0 down; rm -rf /run/NetworkManager"
        again = f"systemctl stop {unit}; {forget}; systemctl start {unit}"
        done = self.do(again)
        assert done.code == 0, done.output

    @property
    def addresses(self) -> str:
        """What its card has."""
        return self.do("ip -oneline addr show dev eth0 scope global").output

    @property
    def has_dhcp(self) -> bool:
        """Whether it has an address out of the router's pool, which no other one has."""
        pool = str(self.house.lab.network.subnet.network_address).rsplit(".", 1)[0]
        return any(f" {pool}.{number}/" in self.addresses for number in range(100, 151))

    @property
    def has_ipv6(self) -> bool:
        """Whether it has one of the house's IPv6 addresses."""
        return f" {PREFIX}" in self.addresses

    def outcome(self) -> str:
        """How its last change of the address ended."""
        return self.do(f"cat {STATE}/outcome").output.strip()

    def as_before(self) -> bool:
        """Whether the router's address is back, and nothing waits."""
        return self.has_dhcp and self.has_ipv6 and not self.do(f"ls {STATE}").output.count("unconfirmed\n")
