"""The traffic monitor's object is what its source was compiled to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from power_agent.loading import OBJECT, SOURCE

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("file", [SOURCE, OBJECT], ids=["source", "object"])
def test_object_and_source_belong_together(file: Path) -> None:
    """`scripts/bpf` compiles the object and writes the sums; who changes the source runs it."""
    sums = dict(reversed(line.split()) for line in SOURCE.with_suffix(".sums").read_text().splitlines())

    assert sums[file.name] == hashlib.sha256(file.read_bytes()).hexdigest()
