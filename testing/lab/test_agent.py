"""Nodes that begin with the agent installed: each is a PC of its own, and a play over ssh brings it up to date."""

from __future__ import annotations

import pytest

from testing.lab.lab import Lab
from testing.lab.node import Node, wait_until

# The first time the agent is really installed.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

STARTER = ("--extra-vars", '{"models_pull_arguments": ["all-minilm-l6-v2"]}')


def healthy(node: Node) -> bool:
    return node.run("curl", "--silent", "--fail", "--max-time", "5", "http://127.0.0.1:8000/health").code == 0


def test_each_has_an_agent_that_is_its_own(lab: Lab) -> None:
    nodes = lab.add("n1", "n2", agent=True)

    for node in nodes:
        wait_until(f"the agent of {node.name}", lambda node=node: healthy(node))
    for secret in ("token", "tls/ca.key", "engine/api.key"):
        assert len({node.run("cat", f"/var/lib/pipecatapp/{secret}").output for node in nodes}) == 2
    answer = lab.run("n1", "pipecatapp", "ask", "What can you do?")
    assert answer.code == 0
    assert len(answer.output.split()) >= 3


def test_a_play_over_ssh_brings_it_up_to_date_and_a_second_changes_nothing(lab: Lab) -> None:
    single = "testing/lab/inventories/single.yaml"
    lab.play("playbook.yaml", single, *STARTER).succeeded()

    again = lab.play("playbook.yaml", single, *STARTER).succeeded()

    assert again.hosts["n1"].changed_tasks == []
    assert healthy(lab["n1"])
