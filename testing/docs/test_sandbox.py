"""The place where the pages' commands run is the same on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testing.docs.pages import ROOT
from testing.docs.sandbox import PLACES

pytestmark = pytest.mark.docs

# A machine on which an agent is installed, as far as these folders go.
INSTALLED = """
mount --make-rprivate /
for place in /opt /var/lib; do mount -t tmpfs tmpfs $place; done
for place in {places}; do mkdir -p $place; done
mkdir -p /opt/pipecatapp/bin /opt/pipecatapp/venv /var/lib/pipecatapp/engine
ln -s {engines}/* /var/lib/pipecatapp/engine/
echo installed >/var/lib/pipecatapp/token
exec {python} -c '
import sys
from pathlib import Path
from testing.docs.sandbox import Sandbox
with Sandbox(Path(sys.argv[1]), agent=False) as sandbox:
    print(sandbox.run("cat /etc/pipecatapp/pipecatapp.env; ls /opt/pipecatapp /var/lib/pipecatapp").stdout)
' {folder}
"""


@pytest.mark.skipif(os.getuid() != 0, reason="laying out a machine in a namespace needs root")
def test_an_agent_that_is_installed_here_does_not_show_through(tmp_path: Path) -> None:
    script = INSTALLED.format(
        places=" ".join(PLACES), engines=ROOT / ".cache/engine", python=sys.executable, folder=tmp_path
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "STATE_DIR=/var/lib/pipecatapp" in done.stdout
    assert "engine" in done.stdout
    assert "token" not in done.stdout
