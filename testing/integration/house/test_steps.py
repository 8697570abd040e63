"""What a run of a playbook shows to the person who started it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pipecatapp.paths import CHECKOUT

pytestmark = pytest.mark.integration

PLAY = CHECKOUT / ".cache/provision/bin/ansible-playbook"
BOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Say what is
      ansible.builtin.debug:
        msg: one thing
    - name: Say it of each
      ansible.builtin.debug:
        msg: "{{ item }} is here"
      loop: [node4, node5]
    - name: Say it of nobody
      ansible.builtin.debug:
        msg: "{{ item }} is here"
      loop: []
"""


def test_what_is_said_of_each_item_of_a_loop_is_shown(tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text(BOOK)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(tmp_path)}

    done = subprocess.run(
        [PLAY, "-i", "localhost,", "-c", "local", book], env=environment, capture_output=True, text=True, check=True
    )

    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[-4:-1] == ["one thing", "node4 is here", "node5 is here"]
    assert "All items completed" not in done.stdout
