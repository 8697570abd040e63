"""Where the hashed locks lie: what an extra or a build installs, with the checksum of every file."""

from __future__ import annotations

import sys
from pathlib import Path

from pipecatapp.errors import ConfigurationError

# In the program beside an installed environment, or in this checkout.
_PLACES = (Path(sys.prefix).parent / "program/requirements", Path(__file__).resolve().parents[2] / "requirements")


# What may be built, and that nothing else is.
WHEELS_ONLY = "wheels-only.in"


def lock_file(name: str) -> Path:
    """The lock of an extra, or of the tools that build something; also ``WHEELS_ONLY``.

    Raises:
        ConfigurationError: there is none.
    """
    wanted = name if name == WHEELS_ONLY else f"{name}.txt"
    for place in _PLACES:
        if (file := place / wanted).is_file():
            return file
    raise ConfigurationError(f"{wanted} is in neither {_PLACES[0]} nor {_PLACES[1]}; run bootstrap.sh again")
