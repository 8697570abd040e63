"""Checksums are taken once, and anew when the file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipecatapp.expert_host.sums import InterruptedSumError, Sums

pytestmark = pytest.mark.unit


def test_a_sum_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    file, memory = tmp_path / "model", tmp_path / "sums.json"
    file.write_bytes(b"one")
    assert Sums(memory).of(file) == hashlib.sha256(b"one").hexdigest()

    # As if it had been read: the next one believes it.
    memory.write_text(memory.read_text().replace(hashlib.sha256(b"one").hexdigest(), "f" * 64))
    assert Sums(memory).of(file) == "f" * 64

    file.write_bytes(b"two!")
    assert Sums(memory).of(file) == hashlib.sha256(b"two!").hexdigest()


def test_what_is_no_memory_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "sums.json").write_text("[1, 2")
    (tmp_path / "model").write_bytes(b"one")
    assert Sums(tmp_path / "sums.json").of(tmp_path / "model") == hashlib.sha256(b"one").hexdigest()


def test_an_ending_program_does_not_read_on(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"one")
    sums = Sums(tmp_path / "sums.json")
    sums.stop()
    with pytest.raises(InterruptedSumError):
        sums.of(tmp_path / "model")
