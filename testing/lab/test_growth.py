"""One PC that has an agent becomes three controllers, and not a word that it knows is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing.lab.house import SERVERS, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import Node, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3000), needs_nomad]

GROWING = Path("testing/lab/inventories/growing")
# The models that the starter set has: downloads are other tests' matter. The new machines get no agent of their own.
GIVEN = ("--extra-vars", json.dumps({"models_pull_arguments": ["all-minilm-l6-v2"], "agent_nodes": ["n1"]}))
STATE = "/var/lib/pipecatapp"
# Who it is, and what was said. Its certificate is made again for the house's names, by the authority that phones trust.
IDENTITY = ("token", "tls/ca.crt", "tls/ca.key", "engine/api.key")
SAID = "events"


def healthy(node: Node) -> bool:
    return node.run("curl", "--silent", "--fail", "--max-time", "5", "http://127.0.0.1:8000/health").code == 0


def facts(node: Node) -> set[str]:
    """What the agent remembers: for each fact its text, its kind and when it was told."""
    exported = node.run("pipecatapp", "memory", "export", "-")
    assert exported.code == 0, exported.output
    return set(exported.output.splitlines())


def files(node: Node, *names: str) -> dict[str, bytes]:
    """What the agent's files of these names, and those in such folders, hold."""
    top = node.root / STATE[1:]
    found = [path for name in names for path in ((top / name).rglob("*") if (top / name).is_dir() else [top / name])]
    return {str(path.relative_to(top)): path.read_bytes() for path in found if path.is_file()}


@dataclass(frozen=True)
class Before:
    """What the PC had while it stood alone."""

    facts: set[str]
    identity: dict[str, bytes]
    said: dict[str, bytes]


@pytest.fixture(scope="module")
def alone(lab: Lab) -> Before:
    """A PC that was told something, and after it three controllers."""
    (pc,) = lab.add("n1", agent=True)
    wait_until("the agent", lambda: healthy(pc), 300)
    told = {"text": "The spare key lies under the third flowerpot.", "kind": "told"}
    added = pc.run("pipecatapp", "memory", "import", "-", text=json.dumps(told))
    assert added.code == 0, added.output
    asked = pc.run("pipecatapp", "ask", "--conversation=before", "What can you do?", limit_s=300)
    assert asked.code == 0, asked.output
    assert pc.run("sh", "-c", "command -v consul nomad nats-server; ls -d /etc/consul.d /etc/nomad.d").code != 0
    before = Before(facts(pc), files(pc, *IDENTITY), files(pc, SAID))
    assert any("third flowerpot" in fact for fact in before.facts)
    assert set(before.identity) == set(IDENTITY)
    assert any(b"What can you do?" in content for content in before.said.values())

    lab.add("n2", "n3")
    lab.play("playbook.yaml", GROWING / "3_third.yaml", *GIVEN, limit_s=2700).succeeded()
    return before


def test_the_first_is_one_of_three_controllers(lab: Lab, alone: Before) -> None:
    house = House(lab)

    for program in ("consul", "nomad"):
        wait_until(f"{program} whole", lambda program=program: house.whole(program), 180)
        assert house.voters(program, "n1") == set(SERVERS)


def test_the_cluster_runs_its_agent_where_it_was(lab: Lab, alone: Before) -> None:
    house = House(lab)

    wait_until("the agent", lambda: healthy(lab["n1"]), 300)
    allocations = house.ask("nomad", "n2", "/v1/job/pipecat-app/allocations")
    assert [one["NodeName"] for one in allocations if one["ClientStatus"] == "running"] == ["n1"]
    # The job holds the unit: it does not start by itself.
    assert lab.run("n1", "systemctl", "is-enabled", "pipecatapp.service").output.strip() == "static"
    assert "pipecatapp" in lab.run("n1", "ps", "-C", "pipecatapp", "-o", "user:20=").output
    for name in ("n2", "n3"):
        assert lab.run(name, "ls", "-d", "/opt/pipecatapp/venv").code != 0
        assert lab.run(name, "ls", "-A", STATE).output == ""


def test_not_a_word_is_lost(lab: Lab, alone: Before) -> None:
    wait_until("the agent", lambda: healthy(lab["n1"]), 300)

    assert alone.facts <= facts(lab["n1"])
    assert files(lab["n1"], *IDENTITY) == alone.identity
    trusted = lab.run("n1", "openssl", "verify", "-CAfile", f"{STATE}/tls/ca.crt", f"{STATE}/tls/server.crt")
    assert trusted.code == 0, trusted.output
    said = files(lab["n1"], SAID)
    for name, content in alone.said.items():
        assert said[name].startswith(content), name
    found = lab.run("n1", "pipecatapp", "memory", "search", "where is the spare key")
    assert "third flowerpot" in found.output
    assert lab.run("n1", "pipecatapp", "ask", "--conversation=before", "Thank you.", limit_s=300).code == 0
