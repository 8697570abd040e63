"""A Debian tree with a fresh clone of this repository, for the story that test_bootstrap.py tells."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.provision.container import hierarchy
from testing.provision.debian_tree import DebianTree
from testing.provision.entered import CACHE, needed
from testing.provision.new_pc import CLONE, NewPc
from testing.provision.systemd_tree import SystemdTree

REPOSITORY = Path(__file__).resolve().parents[2]


SUITES = os.environ.get("PIPECATAPP_TEST_SUITES", "trixie").split(",")


@pytest.fixture(scope="module", params=SUITES)
def pc(request: pytest.FixtureRequest) -> Iterator[NewPc]:
    """A fresh Debian with a clone of what is committed here."""
    _needs("debootstrap", "unshare")
    yield from _new_pc(DebianTree(request.param, CACHE / f"test-{request.param}-{os.getpid()}"))


@pytest.fixture(scope="module", params=SUITES)
def booted_pc(request: pytest.FixtureRequest) -> Iterator[NewPc]:
    """The same with systemd as its first process."""
    _needs("debootstrap", "unshare", "systemd-nspawn")
    if hierarchy() is None:
        pytest.skip("booting a tree needs a hierarchy of cgroups v2")
    yield from _new_pc(SystemdTree(request.param, CACHE / f"boot-{request.param}-{os.getpid()}"))


def _needs(*programs: str) -> None:
    if why := needed(*programs):
        pytest.skip(why)


def _new_pc(tree: DebianTree) -> Iterator[NewPc]:
    with tree:
        clone = tree.path / CLONE.lstrip("/")
        subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{REPOSITORY}", str(clone)], check=True)
        _without_minds(clone / "group_vars/models.yaml")
        yield NewPc(tree)


def _without_minds(catalogue: Path) -> None:
    """No language model is taken by itself: a gigabyte for each run of these tests."""
    minds, rest = catalogue.read_text().split("\nstt_models:", 1)
    catalogue.write_text(re.sub(r"\n    auto: .*", "", minds) + "\nstt_models:" + rest)
