"""initial-setup/ on this machine: a kill never leaves half a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testing.unit.initial_setup.scripts import FOLDER

pytestmark = pytest.mark.integration


def test_a_kill_at_any_instant_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "interfaces"
    old, new = "old\n" * 50_000, "new\n" * 50_000
    target.write_text(old)
    (tmp_path / "o").write_text(old)
    (tmp_path / "n").write_text(new)
    endless = f"source {FOLDER}/lib/files.sh; while :; do put_file n {target}; put_file o {target}; done"
    seen = set()
    for step in range(12):
        process = subprocess.Popen(["bash", "-c", endless], cwd=tmp_path)
        try:
            process.wait(timeout=0.15 + step * 0.013)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        text = target.read_text()
        assert text in (old, new)
        seen.add(text)
    assert seen <= {old, new}
