"""systemd understands the units that the role writes; where it is not installed this is skipped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from testing.fakes.power_role import UNITS, rendered

pytestmark = pytest.mark.integration


def test_systemd_has_nothing_against_the_units(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd-analyze here")
    for template, name in UNITS.items():
        # The users of an installed node do not exist here.
        text = (
            rendered(template)
            .replace("User=pipecatapp-power", "User=daemon")
            .replace("Group=pipecatapp", "Group=daemon")
        )
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        [analyze, "verify", *(str(tmp_path / name) for name in UNITS.values())],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.returncode == 0
