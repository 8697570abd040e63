"""Filter `newest_version`: of several versions the newest, by their numbers."""

from __future__ import annotations

import re
from typing import Any


def newest_version(versions: list[str]) -> str:
    """``1.10.0`` of ``["1.9.1", "1.10.0"]``; empty where there is none."""
    return max(versions, key=lambda version: [int(number) for number in re.findall(r"\d+", version)], default="")


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Their names."""
        return {"newest_version": newest_version}
