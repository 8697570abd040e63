"""Ansible as the labs run it: the locked ansible-core, with a home and a vault of the lab's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testing import consul
from testing.provision.entered import house_environment

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / ".cache/provision/bin"
# A file, or the names of nodes by group.
Inventory = str | Path | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Host:
    """What a play did to one host."""

    ok: int
    changed: int
    failures: int
    unreachable: int
    skipped: int
    changed_tasks: list[str]
    failed_tasks: list[str]


@dataclass(frozen=True)
class Play:
    """What a play did."""

    code: int
    output: str
    hosts: Mapping[str, Host]

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all hosts."""
        return sum(host.changed for host in self.hosts.values())

    def succeeded(self) -> Play:
        """Itself.

        Raises:
            AssertionError: it failed; the message has the end of its output.
        """
        assert self.code == 0, f"the play ended with {self.code}:\n{self.output[-6000:]}"
        return self


class Ansible:
    """Runs playbooks; what it keeps lies in the lab's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def inventory(self, inventory: Inventory, connections: Mapping[str, Mapping[str, object]]) -> Path:
        """Write an inventory in which each host has its connection beside the variables that it has already.

        Raises:
            LookupError: it names a host that has none.
        """
        if isinstance(inventory, Mapping):
            name = "nodes"
            groups: Any = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in inventory.items()}
        else:
            name = Path(inventory).stem
            groups = yaml.safe_load(Path(inventory).read_text())
        for hosts in _hosts(groups):
            for host, own in hosts.items():
                if host not in connections:
                    raise LookupError(
                        f"{inventory} names {host}, and the lab has {', '.join(connections) or 'no node'}"
                    )
                # A host's variables: those of group_vars beside the playbook would win over a group's.
                hosts[host] = {**_house(), **_binaries(), **connections[host], **(own or {})}
        path = self._folder / "inventory" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(groups, sort_keys=False))
        return path

    def play(
        self,
        inside: Sequence[str],
        playbook: str | Path,
        inventory: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        limit_s: float = 1800,
        quiet: bool = False,
    ) -> Play:
        """Run a playbook to its end.

        Args:
            inside: the start of a command line that runs where the hosts can be reached.
            playbook: its path, from the repository's top.
            inventory: its inventory.
            options: more of ``ansible-playbook``'s own options.
            env: variables of its environment.
            limit_s: seconds before it is ended.
            quiet: its output is not printed as well.

        Raises:
            AssertionError: it did not end in time.
        """
        # A kept connection may lead to a machine that has lost its power since.
        for kept in (self._folder / "ansible/cp").glob("*"):
            kept.unlink(missing_ok=True)
        recap = self._next("plays", ".json")
        process = subprocess.Popen(
            [*inside, str(PROGRAMS / "ansible-playbook"), f"--inventory={inventory}", str(playbook), *options],
            cwd=REPOSITORY,
            env={**os.environ, **self.environment(), "LAB_RECAP": str(recap), **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{playbook} did not end in {limit_s:g} s:\n{output[-6000:]}") from None
        recap.with_suffix(".log").write_text(output)
        if not quiet:
            print(output)
        hosts = json.loads(recap.read_text()) if recap.exists() else {}
        return Play(process.returncode, output, {name: Host(**counts) for name, counts in hosts.items()})

    def environment(self) -> dict[str, str]:
        """What Ansible is told by its environment."""
        callbacks = [REPOSITORY / "ansible/plugins/callback", REPOSITORY / "testing/lab/plugins"]
        return {
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_HOME": str(self._folder / "ansible"),
            "ANSIBLE_CALLBACK_PLUGINS": ":".join(map(str, callbacks)),
            "ANSIBLE_CALLBACKS_ENABLED": "recap",
            "ANSIBLE_NOCOWS": "1",
            # A busy machine's sshd takes its time.
            "ANSIBLE_TIMEOUT": "30",
            "CLUSTER_VAULT": str(self._folder / "vault"),
            "PIPECATAPP_BOOTSTRAP_LOG": os.devnull,
            "LC_ALL": "C.UTF-8",
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        }

    def _next(self, folder: str, suffix: str) -> Path:
        (self._folder / folder).mkdir(exist_ok=True)
        number = 0
        while True:
            number += 1
            path = self._folder / folder / f"{number:03}{suffix}"
            with contextlib.suppress(FileExistsError):  # another play's, that perhaps still runs
                path.with_suffix(".log").touch(exist_ok=False)
                return path


def hosts_of(inventory: Path) -> list[str]:
    """The hosts that an inventory names, in its order."""
    return list(dict.fromkeys(host for hosts in _hosts(yaml.safe_load(inventory.read_text())) for host in hosts))


def _hosts(groups: Any) -> Iterator[dict[str, Any]]:
    for group in (groups or {}).values():
        if group and group.get("hosts"):
            yield group["hosts"]
        if group:
            yield from _hosts(group.get("children"))


def _house() -> dict[str, object]:
    environment = house_environment(Path("/"))
    return {"download_environment": environment} if environment else {}


def _binaries() -> dict[str, object]:
    """Programs that no Debian of today has, as this machine has them; roles copy them from here."""
    binaries: dict[str, object] = {}
    if folder := next(consul.CACHE.glob("debian-*/usr/bin"), None):
        binaries |= {"consul_binary_source": "folder", "consul_binary_folder": str(folder)}
    if nomad := os.environ.get("NOMAD_BIN"):
        binaries |= {"nomad_binary_source": "folder", "nomad_binary_folder": str(Path(nomad).parent)}
    return binaries
