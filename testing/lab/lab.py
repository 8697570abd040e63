"""A lab: nodes with a systemd, an sshd and an address of their own on this machine, and Ansible that reaches them.

    with Lab("demo") as lab:
        lab.add("n1", "n2", "n3")
        lab.play("playbook.yaml", {"controller_nodes": ["n1", "n2", "n3"]}).succeeded()
        lab["n2"].power_cut()

Everything of a lab is named after it, so that several run at once and a killed one's leftovers are found. Needs root.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from testing.lab import agent_base, bases, machine, virtual
from testing.lab.network import FIRST_HOST, NAME, Network, free_subnet
from testing.lab.node import Node, forget, make_key, wait_until
from testing.lab.play import Ansible, Inventory, Play
from testing.lab.virtual import Virtual
from testing.provision.container import Group, hierarchy
from testing.provision.entered import Result

Made = TypeVar("Made", bound=Node)
# Kept connections would outlive a node's power cut by minutes.
_SSH = (
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ServerAliveInterval=5",
    "-o",
    "StrictHostKeyChecking=yes",
)
# An emulated PC on a busy machine takes a minute for what others do in a second.
_PATIENT = ("-o", "ConnectTimeout=120", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=6")


class Lab:
    """One lab, empty at first. Use as a context manager, or ``up`` and ``down``.

    Args:
        name: its name: a small letter, then up to ten small letters and digits.
        subnet: a network of 254 addresses (``10.77.5.0/24``); one that is free where it is left out.
        suite: the nodes' Debian.
    """

    def __init__(self, name: str, subnet: str | None = None, suite: str = "trixie") -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"no lab can be called {name!r}: a small letter, then up to ten small letters and digits")
        self.name = name
        self.suite = suite
        self.path = machine.LABS / name
        self.nodes: dict[str, Node] = {}
        self.aliases: dict[str, tuple[Node, str]] = {}
        self.ansible = Ansible(self.path)
        self._subnet = subnet
        self._owner: list[str] | None = None
        self._saving = threading.Lock()
        self.network: Network

    @classmethod
    def of_name(cls, name: str) -> Lab:
        """The lab of this name, which another process made.

        Raises:
            LookupError: there is none.
        """
        lab = cls(name)
        try:
            state = json.loads((lab.path / "lab.json").read_text())
        except FileNotFoundError:
            raise LookupError(f"there is no lab '{name}'; make one with testing/lab/up.sh") from None
        lab.suite, lab._owner = state["suite"], state["owner"]
        lab.network = Network(name, ipaddress.IPv4Network(state["subnet"]))
        for node, known in state["nodes"].items():
            make = lab._virtual if known["virtual"] else lab._node
            lab.nodes[node] = make(node, known["layers"], known["address"])
        return lab

    def __enter__(self) -> Lab:
        self._owner = machine.owner()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def __getitem__(self, node: str) -> Node:
        return self.nodes[node]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def up(self) -> None:
        """Make its network. Leftovers of its name go first, and those of processes that have ended.

        Raises:
            RuntimeError: this machine cannot have a lab; the message says why.
        """
        if why := machine.missing():
            raise RuntimeError(why)
        take_down(self.name)
        for name in machine.names():
            if _abandoned(name):
                take_down(name)
        with machine.locked():
            subnet = ipaddress.IPv4Network(self._subnet) if self._subnet else free_subnet()
            self.network = Network(self.name, subnet)
            self.path.mkdir(mode=0o755)
            self._save()
            machine.raise_settings()
            self.network.up()
        make_key(self.path / "key", f"lab-{self.name}")

    def down(self) -> None:
        """Remove all of it."""
        take_down(self.name)
        self.nodes.clear()

    def add(self, *names: str, agent: bool = False) -> list[Node]:
        """Add nodes and start them, all at once; they take ssh when this returns.

        Args:
            names: their host names, up to 12 characters each.
            agent: they begin with the agent installed (``bootstrap.sh --starter-only``) instead of a plain Debian.
        """
        layers = agent_base.layers(self.suite) if agent else [bases.plain(self.suite)]
        return self._add(names, lambda name: self._node(name, layers, self.free_address()))

    def add_virtual(self, *names: str, agent: bool = False, clock: str | None = None) -> list[Virtual]:
        """Add virtual machines and start them (``virtual.py``); they take ssh when this returns.

        Args:
            names: their host names, up to 12 characters each.
            agent: as with ``add``.
            clock: what the clocks on their boards say whenever they are switched on; None: they are right.

        Raises:
            RuntimeError: this machine cannot have one; the message says why.
        """
        if why := virtual.missing():
            raise RuntimeError(why)
        layers = [bases.kernel(), *(agent_base.layers(self.suite) if agent else [bases.plain(self.suite)])]

        def make(name: str) -> Virtual:
            made = self._virtual(name, layers, self.free_address())
            made.clock = clock
            return made

        return self._add(names, make)

    def _add(self, names: Sequence[str], make: Callable[[str], Made]) -> list[Made]:
        added = []
        for name in names:
            if name in self.nodes or len(name) > 12:
                raise ValueError(f"{name}: there already, or longer than 12 characters")
            added.append(made := make(name))
            self.nodes[name] = made
        self._save()
        self._at_once(self._begin, list(added))
        return added

    def start(self, *names: str) -> None:
        """Start these nodes, all that are off where none is named, at once; they take ssh when this returns."""
        chosen = [self.nodes[name] for name in names] or [node for node in self if not node.running]
        self._at_once(self._start, chosen)

    def reinstall(self, name: str) -> None:
        """Give a node a fresh disk with a fresh Debian, and its sshd new keys."""
        node = self.nodes[name]
        node.power_cut()
        kernel = [bases.kernel()] if isinstance(node, Virtual) else []
        node.layers = [*kernel, bases.plain(self.suite)]
        self._save()
        self._begin(node)

    def readdress(self, name: str, address: str | None = None) -> str:
        """Give a node another address, at once where it runs; the address. One that is free where it is left out.

        Raises:
            NotImplementedError: it is a virtual machine, which has its address on its own disk.
        """
        node = self.nodes[name]
        if isinstance(node, Virtual):
            raise NotImplementedError(f"{name} is a virtual machine: change it there")
        node.address = address or self.free_address()
        if node.running:
            self.network.address(name, node.address)
        self._save()
        return node.address

    def free_address(self) -> str:
        """The lowest that no node has."""
        taken = {node.address for node in self} | {address for _node, address in self.aliases.values()}
        hosts = map(str, list(self.network.subnet.hosts())[FIRST_HOST - 1 :])
        return next(address for address in hosts if address not in taken)

    def run(self, node: str, *command: str, **options: Any) -> Result:
        """Run a command in a node as root; ``env``, ``cwd``, ``limit_s`` and ``text`` (what it reads) as options."""
        return self.nodes[node].run(*command, **options)

    def control(self, *command: str, limit_s: float = 120) -> Result:
        """Run a command of this machine in the control namespace, where the nodes' addresses are."""
        done = subprocess.run(
            self.network.inside(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=limit_s,
        )  # fmt: skip
        return Result(done.returncode, done.stdout)

    def ssh(self, node: str, *command: str) -> Result:
        """Run a command in a node as the user whom Ansible is, through its sshd."""
        return self.control("ssh", *self._ssh_options(node), f"{bases.USER}@{self.nodes[node].address}", *command)

    def alias(self, node: str, *names: str) -> None:
        """Let a node stand for more machines: for Ansible's root each has a name, identity and address of its own.

        They share all else, and last as long as the node runs.
        """
        for name in names:
            address = self.free_address()
            self.network.more_address(node, address)
            self.nodes[node].disguise(name)
            self.aliases[name] = (self.nodes[node], address)

    def play(self, playbook: str | Path, inventory: Inventory, *options: str, **more: Any) -> Play:
        """Run a playbook against the nodes of an inventory, from the control namespace; see ``Ansible.play``."""
        if any(isinstance(node, Virtual) for node in self):
            more["env"] = {"ANSIBLE_TIMEOUT": "240", **(more.get("env") or {})}
        return self.ansible.play(self.network.inside(), playbook, self.inventory(inventory), *options, **more)

    def inventory(self, inventory: Inventory) -> Path:
        """An inventory (a file, or node names by group) with what Ansible needs to reach this lab's nodes."""
        reached = {node.name: (node, node.address) for node in self} | self.aliases
        connections = {name: self._connection(*how) for name, how in reached.items()}
        for name, (node, _address) in self.aliases.items():
            connections[name]["ansible_python_interpreter"] = node.disguised_python(name)
        return self.ansible.inventory(inventory, connections)

    def _connection(self, node: Node, address: str) -> dict[str, object]:
        return {
            "ansible_host": address,
            "ansible_user": bases.USER,
            "ansible_ssh_private_key_file": str(self.path / "key"),
            "ansible_ssh_common_args": " ".join(self._ssh_options(node.name)),
        }

    def _ssh_options(self, node: str) -> list[str]:
        # Known by name: the same machine after its address has changed.
        known = ("-o", f"UserKnownHostsFile={self.path / 'known_hosts'}", "-o", f"HostKeyAlias={node}")
        patient = _PATIENT if isinstance(self.nodes[node], Virtual) else ()
        # Of an option said twice ssh takes the first.
        return [*patient, *_SSH, *known, "-o", "LogLevel=ERROR", "-i", str(self.path / "key")]

    def _node(self, name: str, layers: list[Path], address: str) -> Node:
        return Node(name, self.path / "nodes" / name, self.network, layers, address)

    def _virtual(self, name: str, layers: list[Path], address: str) -> Virtual:
        def reach() -> list[str]:
            node = self.nodes[name]
            return self.network.inside("ssh", *self._ssh_options(name), f"root@{node.address}")

        return Virtual(name, self.path / "nodes" / name, self.network, layers, address, reach)

    def _begin(self, node: Node) -> None:
        node.install((self.path / "key.pub").read_text())
        self._save()
        self._start(node)

    def _start(self, node: Node) -> None:
        node.start()
        self._save()
        wait_until(f"ssh on {node.name}", lambda: self.ssh(node.name, "true").code == 0)

    def _at_once(self, what: Callable[[Node], None], nodes: list[Node]) -> None:
        if nodes:
            with ThreadPoolExecutor(len(nodes)) as pool:
                list(pool.map(what, nodes))

    def _save(self) -> None:
        with self._saving:
            known = {
                node.name: {
                    "address": node.address,
                    "layers": [str(layer) for layer in node.layers],
                    "virtual": isinstance(node, Virtual),
                }
                for node in self
            }
            state = {"subnet": str(self.network.subnet), "suite": self.suite, "owner": self._owner, "nodes": known}
            machine.write(self.path / "lab.json", json.dumps(state, indent=2))
            keys = [f"{node.name} {node.public_key}\n" for node in self if node.has_disk]
            machine.write(self.path / "known_hosts", "".join(keys))


def take_down(name: str) -> None:
    """Remove all of the lab of this name, whoever made it and whatever is left of it."""
    place = hierarchy()
    assert place is not None
    for group in (Group(path.name) for path in place.glob(f"lab-{name}-*")):
        group.kill()
        forget(group)
    with machine.locked():
        Network(name, ipaddress.IPv4Network("10.77.0.0/24")).down()
        machine.remove(machine.LABS / name)
        machine.restore_settings()


def _abandoned(name: str) -> bool:
    try:
        owner = json.loads((machine.LABS / name / "lab.json").read_text())["owner"]
    except (FileNotFoundError, ValueError):
        return False
    return owner is not None and machine.started(int(owner[0])) != owner[1]
