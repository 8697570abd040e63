"""``pipecatapp ssh``: the key to install elsewhere, passwords, and forgetting a host whose key has changed."""

from __future__ import annotations

import getpass
import sys

from pipecatapp.tools.ssh_folder import SshFolder


def print_key(folder: SshFolder) -> int:
    """The line for ``authorized_keys``; the key is made where there is none yet."""
    print(folder.public_key())
    return 0


def store_password(folder: SshFolder, host: str) -> int:
    """Ask for the password of ``user@host`` and keep it; an empty one is forgotten."""
    target = folder.target(host)
    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {target.account}: ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    folder.store_password(target, password)
    print(f"the password of {target.account} is {'stored' if password else 'forgotten'}")
    return 0


def forget_host(folder: SshFolder, host: str) -> int:
    """Forget the key of a host: the next connection shows the new one."""
    target = folder.target(host)
    found = folder.forget(target)
    print(f"the key of {target.known_as} is forgotten" if found else f"no key of {target.known_as} was known")
    return 0
