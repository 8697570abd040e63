"""Root gives up its rights before it touches the state of the agent, which belongs to another user.

What that user may write, root must not: a link in the place of a file would turn its words into any file of the
machine's. And what root leaves there, the agent cannot read. Nor may that user type into root's terminal.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pipecatapp.cli.own_session import become, go_on_apart
from pipecatapp.errors import ConfigurationError


def become_owner(folder: Path) -> None:
    """Where root runs this and ``folder`` belongs to another user: be that user from here on, for good.

    Raises:
        ConfigurationError: nobody has that user's number.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # not there yet, and so nobody's
    if owner == 0:
        return
    try:
        user = pwd.getpwuid(owner)
    except KeyError as error:
        raise ConfigurationError(f"{folder} belongs to user {owner}, who does not exist; run bootstrap.sh") from error
    go_on_apart()
    become(user)
