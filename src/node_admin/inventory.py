"""The house's machines: an inventory of Ansible, written as JSON (which is YAML), that this unit alone may change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node_admin import files
from node_admin.errors import RefusedError
from node_admin.requests import NewNode

_BACKUPS = 20


class Inventory:
    """One file: ``{"all": {"children": {"controller_nodes": {"hosts": {...}}, "worker_nodes": {...}}}}``.

    Args:
        path: the file; beside it ``backups/``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def host(self, name: str) -> Mapping[str, Any] | None:
        """What is known of a machine; None where it is not in it."""
        return _hosts(self._load()).get(name)

    def is_controller(self, name: str) -> bool:
        """Whether the machine votes."""
        return name in _group(self._load(), "controller_nodes")

    def add(self, name: str, node: NewNode) -> None:
        """Let it be a worker; the same machine once more changes nothing.

        Raises:
            RefusedError: the name or the address is another machine's.
        """
        inventory = self._load()
        for host, known in _hosts(inventory).items():
            same_address = known.get("ansible_host") == node.address
            if host == name and not same_address:
                raise RefusedError(f"{name} is another machine already; remove that one first, or choose another name")
            if host != name and same_address:
                raise RefusedError(f"{node.address} is {host}'s address")
        if self.is_controller(name):
            raise RefusedError(f"{name} is a controller already")
        known = {"ansible_host": node.address, "ansible_user": node.user, "host_key": node.host_key}
        if node.mac:
            known["mac"] = node.mac
        workers = inventory["all"]["children"].setdefault("worker_nodes", {})
        workers["hosts"] = {**(workers.get("hosts") or {}), name: known}
        self._save(inventory)

    def drop(self, name: str) -> None:
        """Let it be none of ours any more."""
        inventory = self._load()
        for group in inventory["all"]["children"].values():
            (group.get("hosts") or {}).pop(name, None)
        self._save(inventory)

    def _load(self) -> dict[str, Any]:
        try:
            inventory = files.read(self.path)
        except (OSError, ValueError) as error:
            raise RefusedError(f"{self.path} cannot be read ({error}); bring one back from {self._backups}") from error
        if not isinstance(inventory, dict) or not isinstance(inventory.get("all", {}).get("children"), dict):
            raise RefusedError(f"{self.path} is no inventory; run playbook.yaml from the control node")
        return inventory

    def _save(self, inventory: Mapping[str, Any]) -> None:
        before = files.read(self.path)
        if before == inventory:
            return
        self._backups.mkdir(mode=0o700, exist_ok=True)
        kept = sorted(self._backups.glob("*.json"))
        number = int(kept[-1].stem) + 1 if kept else 1
        files.write(self._backups / f"{number:06}.json", before)
        for old in kept[: max(0, len(kept) + 1 - _BACKUPS)]:
            old.unlink()
        files.write(self.path, inventory)

    @property
    def _backups(self) -> Path:
        return self.path.with_name("backups")


def _hosts(inventory: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each machine with what any of its groups knows of it."""
    hosts: dict[str, dict[str, Any]] = {}
    for group in inventory["all"]["children"]:
        for host, known in _group(inventory, group).items():
            hosts[host] = {**hosts.get(host, {}), **(known or {})}
    return hosts


def _group(inventory: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = (inventory["all"]["children"].get(name) or {}).get("hosts") or {}
    return found if isinstance(found, dict) else {}
