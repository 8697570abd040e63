"""The locks in requirements/ hold what pyproject.toml asks for, with a checksum each, and name no host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEFAULT: list[str] = PYPROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[Any]] = PYPROJECT["dependency-groups"]
# The environment that trains the starter model is made by hand: torch comes from where the machine can get it.
UNLOCKED = {"train"}
# Groups that live beside the app, without its dependencies.
ALONE = {"build", "engine-tools", "llama-cpp-build", "provision", "provision-min"}


def group(name: str) -> list[str]:
    """The requirements of a dependency group, included groups unfolded."""
    found: list[str] = []
    for entry in GROUPS[name]:
        found += group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return found


def wanted(lock: str) -> list[str]:
    """What pyproject.toml asks of the lock of this name."""
    if lock == "default":
        return DEFAULT
    if lock in EXTRAS:
        return DEFAULT + EXTRAS[lock]
    return group(lock) + ([] if lock in ALONE else DEFAULT)


def locked(lock: str) -> dict[str, str]:
    """Package to version, as the lock has it."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))


def test_every_group_has_a_lock() -> None:
    assert set(LOCKS) == {"default", *EXTRAS, *GROUPS} - UNLOCKED


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_satisfies_pyproject(lock: str) -> None:
    pins = locked(lock)
    for requirement in map(Requirement, wanted(lock)):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in requirements/{lock}.txt; run requirements/lock.sh {lock}"
        assert requirement.specifier.contains(version), f"requirements/{lock}.txt has {version}, wanted {requirement}"


@pytest.mark.parametrize("lock", sorted(set(LOCKS) - ALONE))
def test_lock_agrees_with_the_default(lock: str) -> None:
    default, pins = locked("default"), locked(lock)
    assert {name: pins.get(name) for name in default} == default


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_checksums_and_no_host(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    # A pin runs to the next one; each carries at least one checksum.
    pins = re.split(r"^(?=[A-Za-z0-9._-]+(?:\[[^\]]*\])?==)", text, flags=re.MULTILINE)[1:]
    assert pins
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_node_lock_names_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert '"integrity"' in text


def test_the_wheels_of_old_cpus_are_held() -> None:
    """numpy 2.4 and faiss 1.14 die on a CPU without SSE4.1 or AVX (docs/reference/old-cpus.md)."""
    pins = locked("default")
    assert tuple(map(int, pins["numpy"].split(".")[:2])) < (2, 4)
    assert tuple(map(int, pins["faiss-cpu"].split(".")[:2])) < (1, 14)
