"""Labs for tests: named after the process, so that several test runs have theirs at once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testing.lab import machine
from testing.lab.lab import Lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """An empty lab of this module's own; it and its nodes go when the module's tests are done."""
    if why := machine.missing():
        pytest.skip(why)
    with Lab(f"t{os.getpid()}") as made:
        yield made
