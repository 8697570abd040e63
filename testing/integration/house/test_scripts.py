"""The scripts of the house do what scripts/README.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240
    )


def test_locks_are_what_pyproject_resolves_to(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    result = run("requirements/lock.sh", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        fresh = (tmp_path / "requirements" / lock.name).read_text(encoding="utf-8")
        assert fresh == lock.read_text(encoding="utf-8"), f"run requirements/lock.sh {lock.stem}"


def test_setup_has_nothing_to_do_the_second_time() -> None:
    first = run("scripts/setup")
    assert first.returncode == 0, first.stderr
    result = run("scripts/setup")
    assert result.stdout == "setup: ready\n"


# Where the selected tests are: to look through all files takes long.
HERE = ("--", "testing/unit/house")


def test_scripts_test_runs_a_selection_and_ends_with_the_summary() -> None:
    result = run("scripts/test", "--only", "unit", "-k", "test_every_group_has_a_lock", *HERE)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^unit +1 passed +[\d.]+ s$", result.stdout, re.M)
    assert "1 passed" in result.stdout.strip().splitlines()[-1]


def test_scripts_test_fails_when_nothing_matches() -> None:
    assert run("scripts/test", "--only", "unit", "-k", "no_test_has_this_name", *HERE).returncode != 0


def test_what_runs_side_by_side_and_what_runs_after_it_is_told_together(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "scripts/test", "testing/__init__.py", "testing/conftest.py", "testing/by_kind.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    setup = tmp_path / "scripts/setup"
    setup.write_text("#!/bin/sh\n")
    setup.chmod(0o755)
    well, wrong = "def test_well() -> None: ...\n", "def test_wrong() -> None: assert False\n"
    (tmp_path / "testing/test_quick.py").write_text(f"import pytest\npytestmark = pytest.mark.unit\n{well}{wrong}")
    (tmp_path / "testing/test_long.py").write_text(f"import pytest\npytestmark = pytest.mark.browser\n{well}")
    result = run("scripts/test", "--only", "unit,browser", cwd=tmp_path)
    assert result.returncode == 1
    closing = result.stdout.rpartition("= by kind =")[2]
    assert re.search(r"^unit +1 passed, 1 failed +[\d.]+ s$", closing, re.M), result.stdout
    assert re.search(r"^browser +1 passed +[\d.]+ s$", closing, re.M), result.stdout
    assert "FAILED testing/test_quick.py::test_wrong\n" in closing


def test_npm_run_lint_is_the_check() -> None:
    result = run("npm", "run", "--silent", "lint", "--", "--help")
    assert "runs all linters" in result.stdout


@pytest.mark.parametrize("script", ["setup", "lint.sh", "check", "fmt", "test", "bench", "docs"])
def test_every_script_explains_itself(script: str) -> None:
    result = run(f"scripts/{script}", "--help")
    assert result.returncode == 0
    assert "usage" in result.stdout.lower()


def test_an_extra_is_installed_by_its_lock() -> None:
    """In an environment that has it already: pip compares every package and checksum of the lock and says so."""
    result = run(".cache/extras/bin/python", "-m", "pipecatapp", "extras", "install", "whisper", PYTHONPATH="src")
    assert result.returncode == 0, result.stderr
    assert "whisper is installed" in result.stdout


def test_a_linter_that_nobody_knows_lists_the_choices() -> None:
    result = run("scripts/lint.sh", "nonsense")
    assert result.returncode == 2
    assert "choose from: ruff" in result.stderr
