"""The vault's module as Ansible runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = ROOT / ".cache/provision/bin/ansible"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not ANSIBLE.exists(), reason="no Ansible here: scripts/setup"),
]


def test_a_token_that_is_adopted_is_returned_as_it_is(tmp_path: Path) -> None:
    """Ansible strikes the values of hidden parameters out of what a module returns."""
    member = {"address": "10.77.0.13", "network": "10.77.0.0/24", "server": False}
    given = {
        "path": str(tmp_path / "vault"), "datacenter": "dc1", "region": "global", "members": {},
        "adopt": {"members": {"n3": member}, "agent_tokens": {"n3": "given by the page"}},
    }  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(tmp_path / "home")}

    done = subprocess.run(
        [ANSIBLE, "localhost", "-i", "localhost,", "-c", "local", "-m", "cluster_vault", "-a", json.dumps(given),
         "-e", f"ansible_python_interpreter={ANSIBLE.with_name('python')}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"n3": "given by the page"' in done.stdout
