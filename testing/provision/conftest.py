"""A Debian tree with a fresh clone of this repository, for the story that test_bootstrap.py tells."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.provision.debian_tree import CACHE, DebianTree
from testing.provision.new_pc import CLONE, NewPc

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=os.environ.get("PIPECATAPP_TEST_SUITES", "trixie").split(","))
def pc(request: pytest.FixtureRequest) -> Iterator[NewPc]:
    """A fresh Debian with a clone of what is committed here."""
    if os.geteuid() != 0 or not shutil.which("debootstrap") or not shutil.which("unshare"):
        pytest.skip("a Debian tree needs root, debootstrap and unshare; run scripts/setup, then scripts/test as root")
    path = CACHE / f"test-{request.param}-{os.getpid()}"
    with DebianTree(request.param, path) as tree:
        subprocess.run(
            ["git", "clone", "--quiet", "--depth=1", f"file://{REPOSITORY}", str(path / CLONE.lstrip("/"))], check=True
        )
        yield NewPc(tree)
