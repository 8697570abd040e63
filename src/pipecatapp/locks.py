"""Where the hashed locks lie: what an extra or a build installs, with the checksum of every file."""

from __future__ import annotations

import sys
from pathlib import Path

from pipecatapp.errors import ConfigurationError

# In the program beside an installed environment, or in this checkout.
_PLACES = (Path(sys.prefix).parent / "program/requirements", Path(__file__).resolve().parents[2] / "requirements")


def lock_file(name: str) -> Path:
    """The lock of an extra, or of the tools that build an engine.

    Raises:
        ConfigurationError: there is none.
    """
    for place in _PLACES:
        if (file := place / f"{name}.txt").is_file():
            return file
    raise ConfigurationError(f"{name}.txt is in neither {_PLACES[0]} nor {_PLACES[1]}; run bootstrap.sh again")
