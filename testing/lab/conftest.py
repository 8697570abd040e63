"""Labs for tests: named after the process, so that several test runs have theirs at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.lab import machine
from testing.lab.lab import Lab

# The Debian of the nodes.
SUITE = os.environ.get("PIPECATAPP_LAB_SUITE", "trixie")
# What is told beside all other tests, where PIPECATAPP_LAB=short; the rest takes an hour and more.
SHORT = {"test_lab.py": "", "test_cluster.py": "", "test_setup.py": "[networkd]"}  # file: what its tests' names have


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PIPECATAPP_LAB") != "short":
        return
    for item in items:
        named = SHORT.get(item.path.name)
        if item.path.parent == Path(__file__).parent and (named is None or named not in item.name):
            item.add_marker(pytest.mark.skip(reason="takes many minutes; all stories: scripts/test --only lab"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """An empty lab of this module's own; it and its nodes go when the module's tests are done."""
    if why := machine.missing():
        pytest.skip(why)
    with Lab(f"t{os.getpid()}", suite=SUITE) as made:
        yield made
