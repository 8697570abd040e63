"""What counts as the right reaction."""

from __future__ import annotations

from typing import Any

import pytest

from starter_model.scoring import Case, Reaction, same

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("tool", "wanted", "got"),
    [
        ("web_browser.goto", {"url": "https://example.org"}, {"url": "example.org"}),
        ("web_browser.goto", {"url": "example.org/a"}, {"url": "http://example.org/a/"}),
        ("web_browser.goto", {"url": "https://example.org"}, {"url": "example dot org"}),
        ("route_to_expert", {"expert": "coding"}, {"expert": "prima-api-coding", "query": "fix it"}),
        ("power.set_idle_threshold", {"service": "prima-api-math", "seconds": 60}, {"service": "math", "seconds": 60}),
        ("ssh.run_command", {"host": "node3", "command": "df -h"}, {"host": "node three", "command": "df dash h"}),
        ("ansible.run_playbook", {"playbook": "site.yml"}, {"playbook": "site"}),
        ("memory.recall", {"query": "the garden"}, {"query": "garden"}),
        ("clock.now", {}, {}),
    ],
)
def test_the_same_to_the_tool(tool: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
    assert same(Case("", tool, wanted), Reaction(tool, got))


@pytest.mark.parametrize(
    ("tool", "wanted", "got"),
    [
        ("ssh.run_command", {"host": "node3", "command": "df -h"}, {"host": "node4", "command": "df -h"}),
        ("ssh.run_command", {"host": "a", "command": "df"}, {"host": "a", "command": "df", "username": "b"}),
        ("ssh.run_command", {"host": "a", "command": "df -h"}, {"host": "a", "command": "df"}),
        ("power.set_idle_threshold", {"service": "a", "seconds": 60}, {"service": "a", "seconds": 600}),
        ("route_to_expert", {"expert": "coding"}, {"expert": "math", "query": "x"}),
        ("route_to_expert", {"expert": "math", "query": "2 + 2"}, {"expert": "math", "query": "2 + 3"}),
        ("web_browser.goto", {"url": "https://example.org/a"}, {"url": "example.org/b"}),
        ("clock.now", {"timezone": "Tokyo"}, {}),
    ],
)
def test_not_the_same(tool: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
    assert not same(Case("", tool, wanted), Reaction(tool, got))


def test_words_are_right_where_no_tool_is_wanted() -> None:
    assert same(Case("hi", None, {}), Reaction(None, {}, "Hello."))
    assert not same(Case("hi", None, {}), Reaction("clock.now", {}))
    assert not same(Case("time", "clock.now", {}), Reaction(None, {}, "Hello."))
