"""A wish about a machine in so many words needs no model, for the starter's takes another tool for it."""

from __future__ import annotations

import pytest

from pipecatapp.twin.understand.node_intents import match_node_intent

pytestmark = pytest.mark.unit

TOOLS = {"nodes.join", "nodes.remove", "nodes.heal", "nodes.wake"}


@pytest.mark.parametrize(
    ("words", "tool", "node"),
    [
        ("add node4 to the cluster", "nodes.join", "node4"),
        ("add the kitchen pc to the cluster", "nodes.join", "kitchen"),
        ("join the machine at 192.168.1.5", "nodes.join", ""),
        ("let node5 join", "nodes.join", "node5"),
        ("remove node2 from the cluster", "nodes.remove", "node2"),
        ("take kitchen out of the cluster", "nodes.remove", "kitchen"),
        ("delete node2", "nodes.remove", "node2"),
        ("Heal the cluster.", "nodes.heal", ""),
        ("please repair the machines", "nodes.heal", ""),
        ("repair node 2", "nodes.heal", "node2"),
        ("heal node3", "nodes.heal", "node3"),
        ("wake node2", "nodes.wake", "node2"),
        ("Could you wake up the kitchen PC, please?", "nodes.wake", "kitchen"),
        ("turn on node3", "nodes.wake", "node3"),
        ("switch the kitchen computer on", "nodes.wake", "kitchen"),
    ],
)
def test_what_is_to_be_done_with_a_machine_is_said(words: str, tool: str, node: str) -> None:
    call = match_node_intent(words, TOOLS)
    assert call is not None
    assert (call.name, dict(call.arguments)) == (tool, {"node": node} if node else {})


@pytest.mark.parametrize(
    "words",
    [
        "wake me up at seven",
        "wake it up",
        "turn on the light",
        "fix my bike",
        "remove that",
        "delete my notes",
        "remove the cat from the house and feed it",
        "add milk to the list",
        "let me join",
        "heal me",
        "what would heal node3",
        "remember that node3 is slow",
        "run uptime on node3",
        "",
        "heal " * 400,
    ],
)
def test_anything_else_is_left_to_the_model(words: str) -> None:
    assert match_node_intent(words, TOOLS) is None


def test_where_there_is_no_such_tool_there_is_no_such_wish() -> None:
    assert match_node_intent("heal node3", {"clock.now"}) is None
