"""A yes to a playbook is one to its files as they were shown: what has changed since then is not tried, and not run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.ansible import RunPlaybook
from pipecatapp.tools.playbook_files import digest_of_files
from testing.fakes.agreed import agreed

pytestmark = pytest.mark.unit

CONTEXT = ToolContext("c", "t")
PLAY = {"playbook": "site.yaml"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    books = tmp_path / "books"
    for place in ("roles/lamp/tasks", "group_vars", "plugins", ".git", "roles/lamp/__pycache__"):
        (books / place).mkdir(parents=True)
    (tmp_path / "elsewhere/shared/tasks").mkdir(parents=True)
    (books / "site.yaml").write_text("- hosts: all\n  roles: [lamp]\n")
    (books / "roles/lamp/tasks/main.yaml").write_text("[]\n")
    (books / "group_vars/all.yaml").write_text("a: 1\n")
    (books / "inventory.ini").write_text("localhost\n")
    (books / "plugins/filter.py").write_text("\n")
    (books / ".git/index").write_text("1")
    (books / "large").write_bytes(bytes(1024 * 1024 + 1))
    (books / "ansible.cfg").write_text(f"[defaults]\nroles_path = roles:{tmp_path}/elsewhere\n")
    (tmp_path / "elsewhere/shared/tasks/main.yaml").write_text("[]\n")
    (books / "linked").symlink_to(tmp_path / "elsewhere")
    return books


def rewrite(name: str, text: str = "changed\n") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


CHANGES: dict[str, Callable[[Path], object]] = {
    "the playbook": rewrite("site.yaml", "- hosts: all\n  tasks: []\n"),
    "a role": rewrite("roles/lamp/tasks/main.yaml"),
    "a role elsewhere": rewrite("../elsewhere/shared/tasks/main.yaml"),
    "a role of Ansible's home": lambda folder: (folder.parent / "home/roles/new").write_text("x"),
    "a new role": lambda folder: (folder / "roles/new.yaml").write_text(""),
    "a role that is gone": lambda folder: (folder / "roles/lamp/tasks/main.yaml").unlink(),
    "the inventory": rewrite("inventory.ini", "other\n"),
    "the variables of a group": rewrite("group_vars/all.yaml"),
    "a plugin": rewrite("plugins/filter.py"),
    "the configuration": rewrite("ansible.cfg", "[defaults]\ninventory = other\n"),
    "what may be executed": lambda folder: (folder / "inventory.ini").chmod(0o755),
    "a link": lambda folder: ((folder / "linked").unlink(), (folder / "linked").symlink_to(folder.parent / "home")),
    "a large file": lambda folder: (folder / "large").write_bytes(b"x" * (1024 * 1024 + 1)),
}


@pytest.fixture
def tool(folder: Path) -> RunPlaybook:
    """With a program that says that it was started."""
    program = folder.parent / "ansible-playbook"
    program.write_text(f"#!/bin/sh\ntouch {folder.parent}/started\necho 'localhost : ok=1 changed=0'\n")
    program.chmod(0o755)
    (folder.parent / "home/roles").mkdir(parents=True)
    return RunPlaybook(program, folder, folder.parent / "home")


@pytest.mark.parametrize("what", CHANGES)
async def test_what_has_changed_since_the_card_is_neither_tried_nor_run(
    tool: RunPlaybook, folder: Path, what: str
) -> None:
    context = await agreed(tool, PLAY, CONTEXT)
    CHANGES[what](folder)
    for attempt in (tool.look, tool.run):
        with pytest.raises(ToolError, match=r"site\.yaml has changed since you looked.*Ask again"):
            await attempt(PLAY, context)
    assert not (folder.parent / "started").exists()


@pytest.mark.parametrize("what", CHANGES)
async def test_what_has_changed_since_the_dry_run_is_not_run(tool: RunPlaybook, folder: Path, what: str) -> None:
    found = await tool.look(PLAY, await agreed(tool, PLAY, CONTEXT))
    (folder.parent / "started").unlink()
    CHANGES[what](folder)
    with pytest.raises(ToolError, match="has changed since you looked"):
        await tool.run(PLAY, replace(CONTEXT, basis=found.basis))
    assert not (folder.parent / "started").exists()


async def test_what_changes_during_the_dry_run_shows_no_card(tool: RunPlaybook, folder: Path) -> None:
    (folder.parent / "ansible-playbook").write_text(f"#!/bin/sh\necho '[]' >{folder}/roles/new.yaml\n")
    with pytest.raises(ToolError, match="has changed since you looked"):
        await tool.look(PLAY, await agreed(tool, PLAY, CONTEXT))


async def test_what_programs_write_for_themselves_does_not_count(tool: RunPlaybook, folder: Path) -> None:
    found = await tool.look(PLAY, await agreed(tool, PLAY, CONTEXT))
    (folder / ".git/index").write_text("2")
    (folder / "roles/lamp/__pycache__/x.pyc").write_text("2")
    (folder.parent / "home/tmp").mkdir()
    assert (await tool.run(PLAY, replace(CONTEXT, basis=found.basis))).ok


def test_links_in_a_circle_and_pipes_come_to_an_end(folder: Path) -> None:
    (folder / "circle").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "nowhere").symlink_to(folder / "missing")
    assert digest_of_files(folder, folder / "home") == digest_of_files(folder, folder / "home")


def test_too_many_files_are_refused(folder: Path) -> None:
    for number in range(50):
        (folder / f"{number}").mkdir()
        for inner in range(1001):
            os.mknod(folder / f"{number}/{inner}")
    with pytest.raises(ToolError, match="more than 50000 files"):
        digest_of_files(folder, folder / "home")
