"""The house's machines, in three files of JSON (which is YAML to Ansible): nobody overwrites what another one wrote.

``machines.json``: what a person's inventory says; each run of playbook.yaml writes it anew. ``joined.json``: whom this
unit let join, and whom it removed; it alone writes that. ``inventory.json``: both together, made before each run.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node_admin import files
from node_admin.errors import RefusedError
from node_admin.requests import NewNode, check_node

_BACKUPS = 20
_GROUPS = ("controller_nodes", "worker_nodes")


class Inventory:
    """The three files.

    Args:
        folder: where they lie; ``backups/`` there keeps the joins of before.
        clock: seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._machines = folder / "machines.json"
        self._joined = folder / "joined.json"
        self._clock = clock
        self.path = folder / "inventory.json"

    def host(self, name: str) -> Mapping[str, Any] | None:
        """What is known of a machine; None where it is not one of ours."""
        return {**self._groups()["worker_nodes"], **self._groups()["controller_nodes"]}.get(name)

    def is_controller(self, name: str) -> bool:
        """Whether the machine votes."""
        return name in self._groups()["controller_nodes"]

    def add(self, name: str, node: NewNode) -> None:
        """Let it be a worker; the same machine once more changes nothing.

        Raises:
            RefusedError: the name or the address is another machine's.
        """
        with self._alone():
            groups = self._groups()
            for host, known in {**groups["controller_nodes"], **groups["worker_nodes"]}.items():
                same_address = known.get("ansible_host") == node.address
                if host == name and not same_address:
                    raise RefusedError(
                        f"{name} is another machine already; remove that one first, or choose another name"
                    )
                if host != name and same_address:
                    raise RefusedError(f"{node.address} is {host}'s address")
            if name in groups["controller_nodes"]:
                raise RefusedError(f"{name} is a controller already")
            new = {"ansible_host": node.address, "ansible_user": node.user, "host_key": node.host_key}
            if node.mac:
                new["mac"] = node.mac
            ours = self._ours()
            ours["joined"][name] = new
            ours["removed"].pop(name, None)
            self._keep(ours)

    def drop(self, name: str) -> None:
        """Let it be none of ours any more; it stays one that was removed until it comes back."""
        with self._alone():
            machines = self._person()
            if any(group.pop(name, None) is not None for group in machines.values()):
                files.write(self._machines, machines)
            ours = self._ours()
            ours["joined"].pop(name, None)
            ours["removed"].setdefault(name, time.strftime("%Y-%m-%d", time.localtime(self._clock())))
            self._keep(ours)

    def welcome(self, name: str) -> None:
        """Forget that it was removed: a person's inventory has it, and the person wants that."""
        with self._alone():
            ours = self._ours()
            ours["removed"].pop(name, None)
            self._keep(ours)

    def write(self) -> Path:
        """Make the inventory that Ansible reads; its path."""
        groups = self._groups()
        files.write(self.path, {"all": {"children": {group: {"hosts": groups[group]} for group in _GROUPS}}})
        return self.path

    def _groups(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Each group's machines. Where both know one, a person's inventory says how it is reached."""
        machines, joined = self._person(), self._ours()["joined"]
        groups = {
            group: {host: {**joined.get(host, {}), **known} for host, known in machines[group].items()}
            for group in _GROUPS
        }
        for host, known in joined.items():
            if host not in groups["controller_nodes"]:
                groups["worker_nodes"].setdefault(host, known)
        return groups

    def _person(self) -> dict[str, dict[str, dict[str, Any]]]:
        found = self._read(self._machines, "run playbook.yaml from the control node")
        if not isinstance(found, dict) or not all(isinstance(found.get(group), dict) for group in _GROUPS):
            raise RefusedError(f"{self._machines} is no list of machines; run playbook.yaml from the control node")
        return {group: {host: dict(known) for host, known in found[group].items()} for group in _GROUPS}

    def _ours(self) -> dict[str, dict[str, Any]]:
        found = self._read(self._joined, f"bring one back from {self._backups}")
        found = {"joined": {}, "removed": {}} if found is None else found
        if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("joined", "removed")):
            raise RefusedError(f"{self._joined} cannot be understood; bring one back from {self._backups}")
        return found

    def _read(self, path: Path, otherwise: str) -> Any:
        try:
            return files.read(path)
        except (OSError, ValueError) as error:
            raise RefusedError(f"{path} cannot be read ({error}); {otherwise}") from error

    def _keep(self, ours: Mapping[str, Any]) -> None:
        before = files.read(self._joined)
        if before != ours:
            if before is not None:
                self._back_up(before)
            files.write(self._joined, ours)

    def _back_up(self, before: Any) -> None:
        self._backups.mkdir(mode=0o700, exist_ok=True)
        kept = sorted(self._backups.glob("*.json"))
        number = int(kept[-1].stem) + 1 if kept else 1
        files.write(self._backups / f"{number:06}.json", before)
        for old in kept[: max(0, len(kept) + 1 - _BACKUPS)]:
            old.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the files meanwhile: the unit, and a play that a person runs."""
        lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @property
    def _backups(self) -> Path:
        return self._folder / "backups"


def main(arguments: list[str]) -> int:
    """``python3 -m node_admin.inventory FOLDER drop|welcome NAME``, for a play that a person runs."""
    folder, deed, name = arguments
    try:
        inventory = Inventory(Path(folder))
        {"drop": inventory.drop, "welcome": inventory.welcome}[deed](check_node(name))
    except RefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
