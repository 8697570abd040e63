"""The four deeds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_admin import wake
from node_admin.commands import Ended, run
from node_admin.errors import RefusedError
from node_admin.inventory import Inventory
from node_admin.requests import NewNode, Request, check_new_node

Show = Callable[[str], None]
_SCAN_S = 20.0
_INHERITED = ("LANG", "TZ", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Settings:
    """From the unit's configuration file, which root writes.

    ``agent`` is the user id that may ask. ``playbooks`` is a folder that only root may write. ``networks`` are those of
    the house. ``limit_s`` ends a run; ``prefix`` stands before each program (it gives up what the unit may).
    """

    agent: int
    journal: Path
    playbooks: Path
    ansible: Path
    folder: Path
    networks: tuple[ipaddress.IPv4Network, ...]
    vault: Path
    limit_s: float = 3600.0
    prefix: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Settings:
        """From JSON. Raises KeyError, TypeError or ValueError for what cannot be."""
        return cls(
            agent=int(fields["agent"]),
            journal=Path(fields["journal"]),
            playbooks=Path(fields["playbooks"]),
            ansible=Path(fields["ansible"]),
            folder=Path(fields["folder"]),
            networks=tuple(ipaddress.IPv4Network(network) for network in fields["networks"]),
            vault=Path(fields["vault"]),
            limit_s=float(fields.get("limit_s", 3600.0)),
            prefix=tuple(map(str, fields.get("prefix", ()))),
        )


class NodeAdmin:
    """Does what was agreed.

    Args:
        settings: of the unit.
        inventory: the house's machines.
        wake_port: where sleeping cards listen.
    """

    def __init__(self, settings: Settings, inventory: Inventory, wake_port: int = 9) -> None:
        self._settings = settings
        self._inventory = inventory
        self._wake_port = wake_port

    async def do(self, request: Request, agreed: Mapping[str, Any], show: Show) -> str:
        """Carry it out; a sentence that says what was done.

        Raises:
            RefusedError: it cannot be done, or failed; the message says why.
        """
        match request.verb:
            case "join":
                return await self._join(request.node, check_new_node(agreed, self._settings.networks), show)
            case "remove":
                return await self._remove(request.node, show)
            case "heal":
                return await self._heal(request.node, show)
            case "wake":
                return self._wake(request.node)

    async def _join(self, name: str, node: NewNode, show: Show) -> str:
        show(f"Compare the key of {node.address}")
        key = await self._scan(node)
        self._inventory.add(name, node)
        self._trust(node.address, key)
        # All of them: the others must let the new one in.
        await self._play("playbook.yaml", (), show, f"{name} is in the inventory and not ready; ask for it again")
        return f"{name} is a worker now."

    async def _remove(self, name: str, show: Show) -> str:
        known = self._known(name)
        if self._inventory.is_controller(name):
            raise RefusedError(f"{name} is a controller: removing one of those is done by hand, see docs/operations")
        options = (f'--extra-vars={{"removed_node": "{name}"}}',)
        await self._play("remove_node.yaml", options, show, f"{name} is still in the inventory")
        self._inventory.drop(name)
        self._distrust(str(known.get("ansible_host", "")))
        return f"{name} is not one of ours any more."

    async def _heal(self, name: str, show: Show) -> str:
        if name:
            self._known(name)
        if not (self._settings.playbooks / "heal_cluster.yaml").is_file():
            raise RefusedError("there is no heal_cluster.yaml in this version")
        ended = await self._play("heal_cluster.yaml", (f"--limit={name}",) if name else (), show, "not all is well")
        return f"Healed. {'; '.join(ended.recap[:5])}"

    def _wake(self, name: str) -> str:
        mac = self._known(name).get("mac")
        if not isinstance(mac, str) or not mac:
            raise RefusedError(f"the card's address of {name} is not known; join it again with mac")
        try:
            wake.send(mac, self._settings.networks, self._wake_port)
        except (OSError, ValueError) as error:
            raise RefusedError(f"{name} could not be called: {error}") from error
        return f"{name} was called; it needs a minute to start."

    def _known(self, name: str) -> Mapping[str, Any]:
        known = self._inventory.host(name)
        if known is None:
            raise RefusedError(f"there is no {name} in the inventory")
        return known

    async def _play(self, playbook: str, options: Sequence[str], show: Show, otherwise: str) -> Ended:
        settings = self._settings
        command = [*settings.prefix, str(settings.ansible), f"--inventory={self._inventory.write()}", *options]
        password = settings.folder / "become-password"
        if password.is_file():
            command.append(f"--become-password-file={password}")
        command.append(str(settings.playbooks / playbook))
        ended = await run(
            command, settings.playbooks, self._environment(), settings.limit_s, settings.folder / "last.log", show
        )
        if ended.code is None:
            raise RefusedError(
                f"{playbook} took longer than {settings.limit_s:g} seconds at {ended.step!r}; {otherwise}"
            )
        if ended.code:
            raise RefusedError(
                f"{playbook} failed at {ended.step!r}; {otherwise}. {'; '.join(ended.recap[:5])}".rstrip()
            )
        return ended

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(settings.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_CONFIG": str(settings.playbooks / "ansible.cfg"),
            "ANSIBLE_HOME": str(settings.folder / "ansible"),
            "ANSIBLE_STDOUT_CALLBACK": "default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_NOCOWS": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "ANSIBLE_TIMEOUT": "60",  # an old PC that works takes its time to answer
            "CLUSTER_VAULT": str(settings.vault),
            "PIPECATAPP_BOOTSTRAP_LOG": os.devnull,
        }

    async def _scan(self, node: NewNode) -> str:
        """The machine's key, where it has the fingerprint that was agreed to: ``ssh-ed25519 AAAA...``."""
        process = await asyncio.create_subprocess_exec(
            *self._settings.prefix, "ssh-keyscan", "-T", "5", "-t", "ed25519,ecdsa,rsa", node.address,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_SCAN_S):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            output = b""
        found = [
            line.split()[1:3] for line in output.decode("ascii", "replace").splitlines() if not line.startswith("#")
        ]
        for parts in found:
            if len(parts) == 2 and fingerprint(parts[1]) == node.host_key:
                return " ".join(parts)
        if found:
            raise RefusedError(f"{node.address} is not the machine that was agreed to: its key is another one")
        raise RefusedError(f"{node.address} does not answer by ssh; is it on, and has setup.sh run there?")

    def _trust(self, address: str, key: str) -> None:
        self._distrust(address)
        with self._known_hosts.open("a", encoding="ascii") as file:
            file.write(f"{address} {key}\n")

    def _distrust(self, address: str) -> None:
        known = self._known_hosts
        known.parent.mkdir(mode=0o700, exist_ok=True)
        lines = known.read_text(encoding="ascii").splitlines() if known.exists() else []
        new = known.with_name(".known_hosts.new")
        new.write_text("".join(f"{line}\n" for line in lines if line.split(" ")[0] != address), encoding="ascii")
        new.replace(known)

    @property
    def _known_hosts(self) -> Path:
        return self._settings.folder / ".ssh/known_hosts"


def fingerprint(key: str) -> str:
    """A key's fingerprint as ssh prints it; empty for what is no base64."""
    try:
        data = base64.b64decode(key, validate=True)
    except ValueError:
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
