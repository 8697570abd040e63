"""The verbs ``ssh``: the key to install elsewhere, passwords, and forgetting a host whose key has changed."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import Verbs

if TYPE_CHECKING:
    from pipecatapp.tools.ssh_folder import SshFolder


@click.group(cls=Verbs, example="pipecatapp ssh key")
def ssh() -> None:
    """What ssh.run_command logs in with."""


@ssh.command(example="pipecatapp ssh key")
def key() -> int:
    """Print the public key to install on other machines."""
    return print_key(_folder())


@ssh.command(example="pipecatapp ssh password pi@kitchen")
@click.argument("host", help="user@host, an alias, or user@host:port.")
def password(host: str) -> int:
    """Store a password, asked for or read."""
    return store_password(_folder(), host)


@ssh.command(example="pipecatapp ssh forget node3")
@click.argument("host", help="The host, or host:port.")
def forget(host: str) -> int:
    """Forget the key of a host."""
    return forget_host(_folder(), host)


def _folder() -> SshFolder:
    from pipecatapp.settings import load_settings
    from pipecatapp.tools.ssh_folder import SshFolder

    return SshFolder(load_settings().ssh)


def print_key(folder: SshFolder) -> int:
    """The line for ``authorized_keys``; the key is made where there is none yet."""
    say(folder.public_key())
    return 0


def store_password(folder: SshFolder, host: str) -> int:
    """Ask for the password of ``user@host`` and keep it; an empty one is forgotten."""
    target = folder.target(host)
    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {target.account}: ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    folder.store_password(target, password)
    say(f"the password of {target.account} is {'stored' if password else 'forgotten'}")
    return 0


def forget_host(folder: SshFolder, host: str) -> int:
    """Forget the key of a host: the next connection shows the new one."""
    target = folder.target(host)
    found = folder.forget(target)
    say(f"the key of {target.known_as} is forgotten" if found else f"no key of {target.known_as} was known")
    return 0
