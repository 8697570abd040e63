"""The cached trees that a lab's nodes start from: the current ones stay, those of older versions go."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from testing.lab import bases

pytestmark = pytest.mark.unit


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with bases of two kinds; `old` ones were asked for last two days ago."""
    days_ago = {"trixie-lab-new": 0, "trixie-lab-old": 2, "trixie-lab-other": 0.5, "trixie-agent-old": 2}
    for name, days in days_ago.items():
        (tmp_path / name / "usr/bin").mkdir(parents=True)
        lock = tmp_path / f"{name}.lock"
        lock.touch()
        asked = time.time() - days * 24 * 3600
        os.utime(lock, (asked, asked))
    return tmp_path


def outdated(cache: Path) -> list[str]:
    return [path.name for path in bases.outdated("trixie-lab", cache / "trixie-lab-new")]


def test_only_bases_of_its_kind_that_nobody_wants_are_outdated(cache: Path) -> None:
    assert outdated(cache) == ["trixie-lab-old"]


def test_a_base_that_a_lab_stands_on_stays(cache: Path) -> None:
    lab = cache / "labs/demo/lab.json"
    lab.parent.mkdir(parents=True)
    nodes = {"n1": {"layers": [str(cache / "trixie-lab-old")]}}
    lab.write_text(json.dumps({"nodes": nodes}))

    assert outdated(cache) == []


def test_asking_for_the_current_one_removes_the_outdated(cache: Path) -> None:
    found = bases.current("trixie-lab", "new", lambda fresh: pytest.fail("it is there"), cache)

    assert found == cache / "trixie-lab-new"
    left = ["trixie-agent-old", "trixie-lab-new", "trixie-lab-other"]
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == left


def test_what_somebody_asks_for_just_now_stays(cache: Path) -> None:
    with (cache / "trixie-lab-old.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        bases.current("trixie-lab", "new", lambda fresh: pytest.fail("it is there"), cache)

    assert (cache / "trixie-lab-old").exists()


def test_each_release_has_a_base_of_its_own_with_packages_that_it_knows() -> None:
    assert "linux-sysctl-defaults" in bases.packages("trixie")
    # apt would refuse all of them for one that it does not know.
    assert "linux-sysctl-defaults" not in bases.packages("bookworm")
    assert set(bases.packages("bookworm")) < set(bases.packages("trixie"))
