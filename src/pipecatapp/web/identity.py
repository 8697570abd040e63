"""What browsers know a house by, its token and the authority of its certificate, handed from one agent to the others.

    python -m pipecatapp.web.identity STATE_DIR show     # prints it as JSON; what is missing is made
    python -m pipecatapp.web.identity STATE_DIR take     # takes it from stdin; says whether it was another one

For whoever runs as the agent's user: what is printed opens everything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.atomic import make_folder, replace_file
from pipecatapp.web.addresses import host_names, local_addresses
from pipecatapp.web.auth import load_token
from pipecatapp.web.tls import LocalAuthority

# The key before its certificate: a crash in between leaves a pair that does not fit, and the next run mends it.
FILES = {"token": 0o600, "tls/ca.key": 0o600, "tls/ca.crt": 0o644}


def show(folder: Path) -> dict[str, str]:
    """The files by name.

    Raises:
        ConfigurationError: they cannot be read or made.
    """
    load_token(folder)
    LocalAuthority(folder / "tls").ensure(host_names(), local_addresses())
    return {name: (folder / name).read_text(encoding="ascii") for name in FILES}


def take(folder: Path, files: Mapping[str, str]) -> bool:
    """Be known by these from the next start on; whether they were others before.

    Raises:
        ConfigurationError: they are not whole, or do not belong together; nothing is changed.
    """
    if set(files) != set(FILES) or not all(files.values()):
        raise ConfigurationError(f"an identity has {', '.join(FILES)}; run the playbook for its home node, too")
    try:
        key = serialization.load_pem_private_key(files["tls/ca.key"].encode(), password=None)
        fits = x509.load_pem_x509_certificate(files["tls/ca.crt"].encode()).public_key() == key.public_key()
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"an identity cannot be read: {error}") from error
    if not fits:
        raise ConfigurationError("the key and the certificate of an identity do not belong together")
    changed = False
    for name, mode in FILES.items():
        path = folder / name
        if path.exists() and path.read_text(encoding="ascii", errors="replace") == files[name]:
            continue
        make_folder(path.parent, 0o700)
        replace_file(path, files[name], mode)
        changed = True
    return changed


def main(words: list[str]) -> int:
    """Do it; the exit status."""
    folder, what = Path(words[0]), words[1]
    try:
        if what == "show":
            print(json.dumps(show(folder)))
        else:
            print("changed" if take(folder, json.load(sys.stdin)) else "the same")
    except (ConfigurationError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
