"""What is installed from a lock runs nothing that has no checksum: no build backend that pip would fetch."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
WHEELS_ONLY = ROOT / "requirements/wheels-only.in"
AS_INSTALLED = ("--no-build-isolation", "--use-pep517", "--requirement", str(WHEELS_ONLY))


class Index:
    """A package index as an attacker has it: what is locked is right, what is not does as it likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran = folder / "ran"
        (folder / "files").mkdir()
        with zipfile.ZipFile(folder / "files/backend-9.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("backend.py", f"open({str(self.ran)!r}, 'w').close()")
            wheel.writestr("backend-9.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: backend\nVersion: 9.0\n")
            wheel.writestr(
                "backend-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr("backend-9.0.dist-info/RECORD", "")

    def lock(self, name: str) -> Path:
        """The lock of a package that only comes as a source and asks for the attacker's backend."""
        source = self.folder / f"files/{name}-1.0.tar.gz"
        content = b'[build-system]\nrequires = ["backend"]\nbuild-backend = "backend"\n'
        with tarfile.open(source, "w:gz") as tar:
            entry = tarfile.TarInfo(f"{name}-1.0/pyproject.toml")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        lock = self.folder / f"{name}.txt"
        lock.write_text(f"{name}==1.0 --hash=sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}\n")
        return lock

    def install(self, name: str, *options: str) -> str:
        """Install it; pip's words."""
        command = [sys.executable, "-I", "-m", "pip", "--isolated", "install", "--no-index"]
        command += ["--find-links", str(self.folder / "files"), "--target", str(self.folder / "target")]
        command += ["--disable-pip-version-check", "--require-hashes", *options, "--requirement", str(self.lock(name))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout + done.stderr


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def test_a_checksum_alone_would_let_the_backend_run(index: Index) -> None:
    index.install("docopt")
    assert index.ran.exists()


def test_what_has_a_wheel_is_never_built(index: Index) -> None:
    said = index.install("victim", *AS_INSTALLED)
    assert "No matching distribution" in said
    assert not index.ran.exists()


def test_what_has_none_is_built_by_what_is_locked(index: Index) -> None:
    said = index.install("docopt", *AS_INSTALLED)
    assert "Processing" in said, "it was looked at"
    assert not index.ran.exists()


def test_every_installation_from_a_lock_is_such_a_one() -> None:
    places = [ROOT / "bootstrap.sh", *(ROOT / "scripts").glob("*")]
    places += [path for folder in ("src", "ansible") for path in (ROOT / folder).rglob("*")]
    known = set()
    for path in places:
        if path.is_file() and path.suffix in ("", ".sh", ".py", ".yaml"):
            text = path.read_text(encoding="utf-8", errors="replace")
            if "--require-hashes" in text:
                known.add(path.name)
                assert re.search(r"wheels-only|WHEELS_ONLY|--only-binary", text), f"{path} would build what it fetches"
    assert known >= {"get_ansible.sh", "libraries.yaml", "extras.py", "setup", "native.py", "pip.py"}


def test_the_program_installs_what_builds_first() -> None:
    role = yaml.safe_load((ROOT / "ansible/roles/pipecatapp/tasks/libraries.yaml").read_text(encoding="utf-8"))
    block = next(task for task in role if "block" in task)
    assert any("wheels-only.in" in word for word in block["vars"]["pipecatapp_pip_install"])
    installs = [str(task) for task in block["block"] if "pipecatapp_pip_install" in str(task)]
    assert ["build.txt" in task for task in installs] == [True, False]
    assert "--no-build-isolation" in installs[-1]
