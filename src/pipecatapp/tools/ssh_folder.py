"""What the agent needs to log in elsewhere, in one folder that only it can read.

``config`` (aliases, as OpenSSH writes them; optional), ``id_ed25519`` and its ``.pub`` (made at the first use),
``known_hosts``, ``shown_hosts`` (keys that a person was shown and has not said yes to), ``passwords.json``.
"""

from __future__ import annotations

import getpass
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pipecatapp.errors import ToolError
from pipecatapp.storage.atomic import make_folder, replace_file
from pipecatapp.tools.ssh_config import read_config
from pipecatapp.tools.ssh_target import PORT, Target, host_address, split_host

if TYPE_CHECKING:
    from paramiko import HostKeys, PKey

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")
_MOST_JUMPS = 5
_Passwords = TypeAdapter(dict[str, str])


class SshFolder:
    """Keys, passwords and known hosts.

    Args:
        folder: made at the first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def target(self, host: str, user: str = "") -> Target:
        """The host that is meant: an alias of ``config``, a name or an address; ``user@host:port`` works too.

        Raises:
            ToolError: that is no name of a host or user.
        """
        return self._target(host, user, ())

    def _target(self, host: str, user: str, before: tuple[str, ...]) -> Target:
        """``before`` are those that are reached through this one."""
        account, _, place = host.strip().rpartition("@")
        name, port = split_host(place)
        address = host_address(name)
        config = read_config(self.folder / "config", name)
        chosen = user or account or config.user or getpass.getuser()
        if _USER.fullmatch(chosen) is None:
            raise ToolError(f"{chosen!r} is no name of a user")
        port = port or config.port or str(PORT)
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ToolError(f"{port!r} is no port")
        if name in before or len(before) > _MOST_JUMPS:
            raise ToolError(f"ProxyJump goes on without end: {', '.join((*before, name))}")
        return Target(
            name if name.isascii() else f"{name} ({address})",
            host_address(config.hostname) if config.hostname else address,
            int(port),
            chosen,
            tuple(Path(identity).expanduser() for identity in config.identities),
            self._jumps(config.jump, (*before, name)),
        )

    def _jumps(self, names: str, before: tuple[str, ...]) -> tuple[Target, ...]:
        """The hosts of a ``ProxyJump``. The first may have one of its own; the others are reached through it."""
        if not names or names.lower() == "none":
            return ()
        targets = [self._target(name, "", before) for name in names.split(",")]
        return (*targets[0].jumps, *(replace(target, jumps=()) for target in targets))

    def key(self) -> PKey:
        """Our own private key, which is made at the first use."""
        return _load_key(self._own_key())

    def keys(self, target: Target) -> list[PKey]:
        """The private keys for a host, in the order in which they are tried."""
        return [_load_key(path) for path in target.identities] or [self.key()]

    def public_key(self) -> str:
        """The line for ``authorized_keys`` on other hosts."""
        return self._own_key().with_suffix(".pub").read_text(encoding="ascii").strip()

    def password(self, target: Target) -> str | None:
        """The stored password for a user there."""
        return self._passwords().get(target.account)

    def store_password(self, target: Target, password: str) -> None:
        """Keep it; an empty one is forgotten."""
        with self._lock:
            passwords = self._passwords()
            passwords.pop(target.account, None)
            if password:
                passwords[target.account] = password
            self._write("passwords.json", _Passwords.dump_json(passwords, indent=2).decode())

    def known(self) -> HostKeys:
        """The keys that a person said yes to."""
        return self._hosts("known_hosts")

    def show(self, target: Target, key: PKey) -> None:
        """Note down that a person is shown this key of a new host.

        Raises:
            ToolError: another one was shown before: somebody may be in between.
        """
        with self._lock:
            shown = self._hosts("shown_hosts")
            before = shown.lookup(target.known_as)
            if before is None:
                self._add_host("shown_hosts", target, key)
            elif key not in before.values():
                raise ToolError(changed(target, next(iter(before.values())), key))

    def accept(self, target: Target, key: PKey, seen: str) -> None:
        """From now on this is the key of the host, where it is the one that a person saw (``seen_as``) and said yes to.

        Raises:
            ToolError: nobody was shown this key.
        """
        with self._lock:
            before = self._hosts("shown_hosts").lookup(target.known_as)
            if before is not None and key not in before.values():
                raise ToolError(changed(target, next(iter(before.values())), key))
            if seen != seen_as(target, key):
                raise ToolError(
                    f"nobody has seen the key of {target.name} yet; ask again, then its fingerprint {key.fingerprint} "
                    "stands on the card"
                )
            self._add_host("known_hosts", target, key)

    def forget(self, target: Target) -> bool:
        """Forget its keys; whether there were any."""
        found = False
        with self._lock:
            for name in ("known_hosts", "shown_hosts"):
                hosts = self._hosts(name)
                if hosts.lookup(target.known_as) is None:
                    continue
                found = True
                while hosts.lookup(target.known_as) is not None:
                    del hosts[target.known_as]
                lines = (f"{host} {kind} {key.get_base64()}\n" for host in hosts for kind, key in hosts[host].items())
                self._write(name, "".join(lines))
        return found

    def _own_key(self) -> Path:
        path = self.folder / "id_ed25519"
        with self._lock:
            if not path.exists():
                self._make_key(path)
        return path

    def _make_key(self, path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        self._write(f"{path.name}.pub", f"{public.decode()} pipecatapp@{socket.gethostname()}\n")
        self._write(path.name, secret.decode())

    def _passwords(self) -> dict[str, str]:
        path = self.folder / "passwords.json"
        try:
            if path.stat().st_mode & 0o077:
                raise ToolError(f"others can read {path}; run: chmod 600 {path}")
            return _Passwords.validate_json(path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValidationError:
            # Not chained: the reason would hold what is in the file.
            raise ToolError(f"{path} is damaged; move it away and store the passwords again") from None
        except OSError as error:
            raise ToolError(f"{path} cannot be read: {error.strerror}") from error

    def _hosts(self, name: str) -> HostKeys:
        from paramiko import HostKeys, SSHException

        path = self.folder / name
        hosts = HostKeys()
        try:
            if path.exists():
                hosts.load(str(path))
        except (OSError, SSHException, ValueError) as error:
            raise ToolError(f"{path} cannot be used: {error}") from error
        return hosts

    def _add_host(self, name: str, target: Target, key: PKey) -> None:
        """A line more; what a person wrote into the file stays."""
        path = self.folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        line = f"{target.known_as} {key.get_name()} {key.get_base64()}\n"
        self._write(name, f"{before.rstrip()}\n{line}".lstrip())

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, for us alone."""
        try:
            make_folder(self.folder, 0o700)
            replace_file(self.folder / name, text)
        except OSError as error:
            raise ToolError(f"{self.folder / name} cannot be written: {error.strerror}") from error


def seen_as(target: Target, key: PKey) -> str:
    """The key of a new host as it stands on the card."""
    return f"{target.known_as} {key.fingerprint}"


def _load_key(path: Path) -> PKey:
    from paramiko import PKey, SSHException

    try:
        return PKey.from_path(path)
    except (OSError, ValueError, SSHException) as error:
        raise ToolError(f"the key {path} cannot be used: {error}") from error


def changed(target: Target, before: PKey, now: PKey) -> str:
    """What a person is told when a host has another key than it had."""
    return (
        f"the key of {target.name} has changed, so I do not connect: it was {before.fingerprint}, now it is "
        f"{now.fingerprint}. Somebody may be in between. If you know why, run: pipecatapp ssh forget {target.place}"
    )
