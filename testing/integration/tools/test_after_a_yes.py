"""From the model's wish over the card and the person's yes to the answer: on a real sshd, in the real sandbox."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.events import ToolProgress
from pipecatapp.ports import Tool
from pipecatapp.tools.ansible import RunPlaybook
from pipecatapp.tools.code_runner import CodeRunner
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
from pipecatapp.tools.ssh import RunCommand
from pipecatapp.tools.ssh_folder import SshFolder
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.sshd import USER, Sshd

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).resolve().parents[3] / ".cache/provision/bin/ansible-playbook"


class RealToolHarness(AgentHarness):
    """An agent with a gate around one real tool."""

    def __init__(self, folder: Path, tools: Sequence[Tool], *answers: str) -> None:
        super().__init__(folder / "conversations", *answers, tools=tools, gated=True, clock=time.time)

    @property
    def shown(self) -> str:
        """What the model was shown last."""
        return self.last_prompt()[-1].content


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@pytest.mark.skipif(os.getuid() != 0, reason="an sshd that lets several users in needs root")
async def test_a_command_runs_on_a_new_host_whose_fingerprint_stood_on_the_card(tmp_path: Path) -> None:
    sshd, folder = Sshd(), SshFolder(tmp_path / "ssh")
    await sshd.start()
    try:
        sshd.authorize(folder.public_key())
        host = f"127.0.0.1:{sshd.port}"
        house = RealToolHarness(
            tmp_path,
            [RunCommand(folder)],
            call("ssh.run_command", host=host, command="echo done; touch ran", username=USER),
            "It is done.",
        )
        said = await house.ask("run it over there")
        assert said == f"May I connect to 127.0.0.1, port {sshd.port}, which I do not know yet, and see its key?"
        said = await house.approve_and_hear()
        assert said.startswith(f"I am about to run echo done; touch ran on 127.0.0.1 as {USER}.")
        assert sshd.fingerprint in house.waiting.preview.detail
        assert not (sshd.home / "ran").exists()
        assert await house.approve_and_hear() == "It is done."
        assert "ended with 0: done" in house.shown
        assert (sshd.home / "ran").exists()
        assert folder.known().lookup(f"[127.0.0.1]:{sshd.port}") is not None
        await house.aclose()
    finally:
        await sshd.remove()


async def test_a_program_runs_in_the_sandbox_after_a_yes(tmp_path: Path) -> None:
    house = RealToolHarness(
        tmp_path,
        [CodeRunner(BubblewrapSandbox())],
        call("code_runner.run_python_code", code="print(6 * 7)"),
        "It is forty two.",
    )
    # No voice says the brackets and the star.
    said = await house.ask("run it")
    assert said == "I am about to run print(6 * 7) in the bubblewrap sandbox. Please confirm it on the page."
    assert await house.approve_and_hear() == "It is forty two."
    assert "The program printed: 42" in house.shown
    await house.aclose()


async def test_a_playbook_is_tried_after_one_yes_and_runs_after_another(tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    (books / "note.yaml").write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n"
        "  vars: {ansible_python_interpreter: /usr/bin/python3}\n  tasks:\n    - name: Write the note\n"
        "      ansible.builtin.copy: {content: hello, dest: '{{ playbook_dir }}/note', mode: '0644'}\n"
    )
    house = RealToolHarness(
        tmp_path,
        [RunPlaybook(PROGRAM, books, tmp_path / "ansible")],
        call("ansible.run_playbook", playbook="note.yaml"),
        "The note is written.",
    )
    said = await house.ask("run the note playbook")
    assert said == "May I look what note.yaml would change?"
    assert not (tmp_path / "ansible").exists()  # nothing was started
    said = await house.ask("yes")
    assert said.startswith("I am about to run note.yaml. The dry run would change: Write the note.")
    assert "+hello" in house.waiting.preview.detail
    assert not (books / "note").exists()
    assert await house.approve_and_hear() == "The note is written."
    assert "localhost: 1 ok, 1 changed" in house.shown
    assert (books / "note").read_text() == "hello"
    assert house.sink.of(ToolProgress)
    await house.aclose()


async def test_a_playbook_that_changed_between_the_two_yeses_does_not_run(tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    write = (
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n"
        "  vars: {ansible_python_interpreter: /usr/bin/python3}\n  tasks:\n    - name: Write the note\n"
        "      ansible.builtin.copy: {content: hello, dest: '{{ playbook_dir }}/note', mode: '0644'}\n"
    )
    (books / "note.yaml").write_text(write)
    house = RealToolHarness(
        tmp_path,
        [RunPlaybook(PROGRAM, books, tmp_path / "ansible")],
        call("ansible.run_playbook", playbook="note.yaml"),
        "It did not run.",
    )
    await house.ask("run the note playbook")
    await house.ask("yes")
    (books / "note.yaml").write_text(write.replace("hello", "good bye"))
    assert await house.approve_and_hear() == "It did not run."
    assert "note.yaml has changed since you looked" in house.shown
    assert not (books / "note").exists()
    await house.aclose()
