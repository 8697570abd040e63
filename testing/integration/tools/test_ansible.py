"""Playbooks with the real Ansible: what may run, what the card shows, how a run goes on and ends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.ansible import RunPlaybook, find_program
from pipecatapp.tools.playbooks import find_playbook
from testing.fakes.agreed import agreed
from testing.fakes.processes import running, until

pytestmark = pytest.mark.integration

CONTEXT = ToolContext("c", "t")
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / ".cache/provision/bin/ansible-playbook"

HEAD = "- hosts: {hosts}\n  connection: local\n  gather_facts: false\n  vars: {{word: hello}}\n  tasks:\n"
WRITE = """    - name: Write the note
      ansible.builtin.copy:
        content: "{{ word }}\\n"
        dest: "{{ playbook_dir }}/note"
        mode: "0644"
      tags: [note]
    - name: Say something
      ansible.builtin.debug:
        msg: "token {{ lookup('ansible.builtin.env', 'LLM_API_KEY') | default('none', true) }}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "note.yaml").write_text(HEAD.format(hosts="localhost") + WRITE)
    (folder / "broken.yaml").write_text(
        HEAD.format(hosts="localhost")
        + "    - name: Fall over\n      ansible.builtin.fail:\n        msg: the disk is full\n"
    )
    (folder / "wrong.yaml").write_text(HEAD.format(hosts="localhost") + "    - name: What\n      no.such.module:\n")
    (folder / "inventory.ini").write_text("localhost ansible_connection=local\n[attic]\nlocalhost\n")
    (folder / "ansible.cfg").write_text(
        "[defaults]\ninventory = inventory.ini\ninterpreter_python = /usr/bin/python3\n"
    )
    (folder / "vars.yaml").write_text("a: 1\n")
    return folder


@pytest.fixture
def tool(folder: Path, tmp_path: Path) -> RunPlaybook:
    return RunPlaybook(PROGRAM, folder, tmp_path / "home")


async def test_nothing_is_started_before_a_yes(tool: RunPlaybook, folder: Path) -> None:
    preview = await tool.preview({"playbook": "note.yaml", "limit": "attic"}, CONTEXT)
    assert preview.sentence == "Look what note.yaml on attic would change."
    assert (preview.look, preview.whole) == (True, True)
    assert not (await tool.preview({"playbook": "note.yaml", "extra_vars": {"word": "x"}}, CONTEXT)).whole
    assert not (folder.parent / "home").exists()


async def test_the_card_shows_a_dry_run_and_nothing_has_changed(tool: RunPlaybook, folder: Path) -> None:
    arguments = {"playbook": "note.yaml"}
    preview = await tool.look(arguments, await agreed(tool, arguments, CONTEXT))
    assert preview.sentence == "Run note.yaml. The dry run would change: Write the note."
    assert "+hello" in preview.detail
    assert preview.scope == ""
    assert not (folder / "note").exists()


async def test_a_run_ends_with_its_recap(tool: RunPlaybook, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "very-secret")
    lines: list[str] = []
    arguments = {"playbook": "note"}
    context = await agreed(tool, arguments, ToolContext("c", "t", progress=lines.append))
    result = await tool.run(arguments, context)
    assert (result.text, result.ok) == ("note is done. localhost: 2 ok, 1 changed.", True)
    assert (folder / "note").read_text() == "hello\n"
    assert lines
    assert "very-secret" not in result.detail
    again = await tool.look(arguments, await agreed(tool, arguments, CONTEXT))
    assert "would change nothing" in again.sentence


async def test_variables_limit_and_tags(tool: RunPlaybook, folder: Path) -> None:
    arguments = {"playbook": "note.yaml", "limit": "attic", "tags": "note", "extra_vars": {"word": "@/etc/passwd"}}
    result = await tool.run(arguments, await agreed(tool, arguments, CONTEXT))
    assert result.text == "note.yaml on attic with tags note is done. localhost: 1 ok, 1 changed."
    assert (folder / "note").read_text() == "@/etc/passwd\n"
    assert list((folder.parent / "home").glob("*.yaml")) == []


async def test_a_failure_says_where_and_why(tool: RunPlaybook) -> None:
    arguments = {"playbook": "broken.yaml"}
    context = await agreed(tool, arguments, CONTEXT)
    result = await tool.run(arguments, context)
    assert not result.ok
    assert result.text.startswith("broken.yaml failed. 'Fall over' failed on localhost: the disk is full.")
    preview = await tool.look(arguments, context)
    # What a host says is on the card, and never in what the agent says itself.
    assert preview.sentence == "Run broken.yaml. The dry run failed at 'Fall over' on localhost."
    assert "the disk is full" in preview.detail


@pytest.mark.parametrize("arguments", [{"playbook": "wrong.yaml"}, {"playbook": "note.yaml", "limit": "nowhere"}])
async def test_what_cannot_run_is_said(tool: RunPlaybook, arguments: dict[str, Any]) -> None:
    context = await agreed(tool, arguments, CONTEXT)
    with pytest.raises(ToolError, match="cannot run"):
        await tool.look(arguments, context)


async def test_a_dry_run_that_takes_long_is_cut_off(folder: Path, tmp_path: Path) -> None:
    (folder / "slow.yaml").write_text(
        HEAD.format(hosts="localhost")
        + "    - name: Wait\n      ansible.builtin.command: sleep 600\n      check_mode: false\n"
    )
    tool = RunPlaybook(PROGRAM, folder, tmp_path / "home", check_s=6)
    preview = await tool.look({"playbook": "slow"}, await agreed(tool, {"playbook": "slow"}, CONTEXT))
    assert "The dry run did not end within 6 seconds" in preview.sentence


async def test_cancelling_ends_everything(tool: RunPlaybook, folder: Path) -> None:
    nap = f"36{time.monotonic_ns()}"
    (folder / "slow.yaml").write_text(
        HEAD.format(hosts="localhost") + f"    - name: Wait\n      ansible.builtin.command: sleep {nap}\n"
    )
    context = await agreed(tool, {"playbook": "slow"}, CONTEXT)
    working = asyncio.create_task(tool.run({"playbook": "slow"}, context))
    await until(lambda: running(f"sleep {nap}"))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await until(lambda: not running(nap))
    assert not running(str(folder / "slow.yaml"))


@pytest.mark.parametrize(
    "name",
    [
        "../note.yaml",
        "/etc/passwd",
        "../outside.yaml",
        "link.yaml",
        "vars.yaml",
        "inventory.ini",
        "",
        ".",
        "x\0",
        "absent",
    ],
)
def test_only_playbooks_inside_the_folder(folder: Path, name: str) -> None:
    (folder.parent / "outside.yaml").write_text((folder / "note.yaml").read_text())
    (folder / "link.yaml").symlink_to(folder.parent / "outside.yaml")
    with pytest.raises(ToolError, match=r"there is no playbook.*: broken\.yaml, note\.yaml, wrong\.yaml$"):
        find_playbook(folder, name.replace("/etc/passwd", str(folder.parent / "outside.yaml")))


@pytest.mark.parametrize(
    "more",
    [
        {"limit": "@/etc/shadow"}, {"limit": "-i"}, {"limit": "a b"}, {"limit": "caf\u00e9"},
        {"limit": "a,@/etc/shadow"}, {"limit": "~.*"},
        {"limit": "{{ x }}"}, {"tags": "{{ x }}"}, {"tags": "--flush-cache"}, {"tags": "a;b"},
        {"extra_vars": {"word": "{{ lookup('pipe', 'id') }}"}}, {"extra_vars": {"a": {"b": ["{% x %}"]}}},
        {"extra_vars": {"ansible_connection": "local"}}, {"extra_vars": {"a": {"__ansible_unsafe": "x"}}},
        {"extra_vars": {"a": {"{{ x }}": 1}}}, {"extra_vars": {"-i": 1}},
    ],
)  # fmt: skip
async def test_arguments_that_are_more_than_values_are_refused(tool: RunPlaybook, more: dict[str, Any]) -> None:
    for attempt in (tool.preview, tool.look, tool.run):
        with pytest.raises(ToolError):
            await attempt({"playbook": "note.yaml", **more}, CONTEXT)


def test_without_ansible_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_program([PROGRAM.parent]).name == "ansible-playbook"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program([tmp_path, PROGRAM.parent]) == PROGRAM
    with pytest.raises(ToolOffError, match="apt-get install ansible-core"):
        find_program([tmp_path])


@pytest.mark.parametrize(
    "way",
    [
        "nothing, it only looks/../",
        "broken.yaml/../",
        "./",
        "/",
        "x\n/../",
        "pl\u0430y/../",
        "*/../",
        "-x/../",
        "sub//../",
    ],
)
def test_a_playbook_has_no_second_name(folder: Path, way: str) -> None:
    with pytest.raises(ToolError, match="there is no playbook"):
        find_playbook(folder, f"{way}note.yaml" if way != "/" else str(folder / "note.yaml"))


def test_the_playbooks_of_this_program_are_playbooks() -> None:
    assert find_playbook(ROOT, "playbook") == ROOT / "playbook.yaml"
    for name in ("inventory.yaml", "group_vars/all.yaml", "ansible/roles/pipecatapp/tasks/install.yaml"):
        with pytest.raises(ToolError):
            find_playbook(ROOT, name)
