"""The archive of the program: what git knows, the same bytes for the same files, with git and without."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PACK = ROOT / "ansible/roles/pipecatapp/files/pack_program.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with something of every kind in it."""
    root = tmp_path / "checkout"
    files = {
        "bootstrap.sh": "#!/bin/sh\n",
        "src/pipecatapp/app.py": "app",
        "models/starter.gguf": "weights",
        "testing/test_app.py": "test",
        ".gitignore": "*.log\n.venv/\n",
        ".gitattributes": "# why\n/testing export-ignore\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "bootstrap.sh").chmod(0o755)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", root, *words], check=True, capture_output=True)


def pack(root: Path, **environment: str) -> bytes:
    archive = root.with_name("program.tar")
    subprocess.run([sys.executable, PACK, root, archive], check=True, env={"PATH": "/usr/bin:/bin", **environment})
    return archive.read_bytes()


def names(root: Path) -> list[str]:
    with tarfile.open(root.with_name("program.tar")) as tar:
        return tar.getnames()


def test_it_holds_what_git_knows_and_nothing_that_only_developers_need(checkout: Path) -> None:
    (checkout / "my-secrets.txt").write_text("hunter2")
    pack(checkout)
    assert names(checkout) == [
        ".gitattributes",
        ".gitignore",
        "bootstrap.sh",
        "models/starter.gguf",
        "src/pipecatapp/app.py",
    ]


def test_a_new_file_comes_along_once_git_knows_it(checkout: Path) -> None:
    (checkout / "src/pipecatapp/later.py").write_text("later")
    git(checkout, "add", "src")
    pack(checkout)
    assert "src/pipecatapp/later.py" in names(checkout)


def test_the_same_files_give_the_same_bytes(checkout: Path) -> None:
    before = pack(checkout)
    for path in checkout.rglob("*"):
        if ".git" not in path.parts and path.is_file():
            path.touch()
            path.chmod(path.stat().st_mode & 0o700)  # cloned under another umask
    assert pack(checkout) == before


def test_an_unpacked_archive_of_the_repository_gives_the_same(checkout: Path) -> None:
    with_git = pack(checkout)
    (checkout / "bootstrap.log").write_text("noise")
    (checkout / ".venv").mkdir()
    (checkout / ".venv/pyvenv.cfg").write_text("noise")
    (checkout / ".git").rename(checkout.with_name("elsewhere"))
    assert pack(checkout) == with_git


def test_a_machine_without_git_gives_the_same(checkout: Path) -> None:
    with_git = pack(checkout)
    assert pack(checkout, PATH="/nowhere") == with_git


def test_a_checkout_of_somebody_else_is_no_problem(checkout: Path) -> None:
    with_git = pack(checkout)
    # As git itself tests it: the folder counts as somebody else's.
    assert pack(checkout, GIT_TEST_ASSUME_DIFFERENT_OWNER="1") == with_git
    (checkout / "unknown.txt").write_text("walked, not asked")
    pack(checkout, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert "unknown.txt" not in names(checkout)


def test_this_repository_brings_all_that_its_playbook_copies(tmp_path: Path) -> None:
    archive = tmp_path / "program.tar"
    subprocess.run([sys.executable, PACK, ROOT, archive], check=True)
    with tarfile.open(archive) as tar:
        packed = set(tar.getnames())
    assert packed >= {
        "playbook.yaml",
        "ansible.cfg",
        "group_vars/models.yaml",
        "models/starter.gguf",
        "requirements/default.txt",
        "requirements/wheels-only.in",
        "requirements/provision-min.txt",
        "src/pipecatapp/__main__.py",
        "ansible/roles/service/templates/unit.j2",
    }
    assert not [name for name in packed if name.startswith(("testing/", "scripts/", "src/starter_model/"))]
