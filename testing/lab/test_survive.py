"""A house that goes on when a PC dies, told in order: three nodes, two agents, one address. It takes most of an hour.

People come by the house's address alone, from outside of the nodes.
"""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from testing.lab.house import SERVERS, THREE, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(5400), needs_nomad]

AGENTS = ["n1", "n2"]
# From the loss of the active agent's machine to the answer of the next one.
GAP_S = 20.0
_ROLE = ("curl", "--silent", "--max-time", "2", "http://127.0.0.1:8001/health")


class People:
    """Who has the house's address and its token."""

    def __init__(self, lab: Lab, address: str) -> None:
        self._lab, self.address = lab, address
        self.token = ""

    def ask(self, path: str, body: object = None) -> str:
        """What the house answers; empty where nobody does."""
        words = ["curl", "--silent", "--fail", "--max-time", "3", "--header", f"Authorization: Bearer {self.token}"]
        if body is not None:
            words += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        done = self._lab.control(*words, f"http://{self.address}:8000{path}")
        return done.output if done.code == 0 else ""

    def tell(self, fact: str) -> bool:
        """Whether the house has acknowledged it."""
        return fact in self.ask("/api/memory", {"text": fact})

    def knows(self, *facts: str) -> bool:
        """Whether whoever answers has all of these."""
        said = self.ask("/api/memory")
        return bool(said) and all(fact in said for fact in facts)


def roles(lab: Lab) -> dict[str, str]:
    """What each agent that runs says that it is."""
    found = {}
    for name in AGENTS:
        with contextlib.suppress(RuntimeError, ValueError):  # it is off, or does not answer
            found[name] = str(json.loads(lab.run(name, *_ROLE).output)["role"])
    return found


def active(lab: Lab) -> str:
    """The one active agent's node; empty where there is not exactly one."""
    found = [name for name, role in roles(lab).items() if role == "active"]
    return found[0] if len(found) == 1 else ""


def both(lab: Lab) -> bool:
    return sorted(roles(lab).values()) == ["active", "standby"]


@pytest.fixture(scope="module")
def address(lab: Lab) -> str:
    """The first node is there, so that its address is taken and the next free one is the house's."""
    lab.add(*SERVERS, agent=True)
    return lab.free_address()


@pytest.fixture(scope="module")
def told(address: str) -> tuple[str, str]:
    variables = {"models_pull_arguments": ["all-minilm-l6-v2"], "agent_nodes": AGENTS, "house_address": address}
    return ("--extra-vars", json.dumps(variables))


@pytest.fixture(scope="module")
def people(lab: Lab, address: str, told: tuple[str, str]) -> People:
    lab.play("playbook.yaml", THREE, *told, limit_s=3600).succeeded()
    people = People(lab, address)
    people.token = lab.run("n1", "cat", "/var/lib/pipecatapp/token").output.strip()
    return people


def test_two_agents_are_warm_and_the_house_answers_by_one_address(lab: Lab, people: People) -> None:
    wait_until("an active one and a standby", lambda: both(lab), 180)
    wait_until("the house", lambda: people.knows(), 60)
    tokens = {lab.run(name, "cat", "/var/lib/pipecatapp/token").output for name in AGENTS}
    authorities = {lab.run(name, "sha256sum", "/var/lib/pipecatapp/tls/ca.crt").output for name in AGENTS}
    assert (len(tokens), len(authorities)) == (1, 1)
    # The certificate is for the house's address, whoever has it.
    shown = lab.control("sh", "-c", f"openssl s_client -connect {people.address}:8443 </dev/null 2>/dev/null"
                                    " | openssl x509 -noout -ext subjectAltName")  # fmt: skip
    assert people.address in shown.output


def test_a_second_run_changes_nothing(lab: Lab, people: People, told: tuple[str, str]) -> None:
    again = lab.play("playbook.yaml", THREE, *told, limit_s=3600).succeeded()
    assert {name: host.changed_tasks for name, host in again.hosts.items()} == {"n1": [], "n2": [], "n3": []}
    again = lab.play("playbook.yaml", THREE, *told, "--check", limit_s=3600).succeeded()
    assert {name: host.changed_tasks for name, host in again.hosts.items()} == {"n1": [], "n2": [], "n3": []}


def test_when_its_machine_loses_its_power_the_other_answers_with_all_of_it(lab: Lab, people: People) -> None:
    assert people.tell("The spare key lies under the third flowerpot.")
    lost = active(lab)
    assert lost

    lab[lost].power_cut()
    gap = wait_until("the fact, by the house's address", lambda: people.knows("third flowerpot"), 120)

    print(f"{lost} without power: answered after {gap:.1f} s")
    assert gap <= GAP_S
    assert people.tell("The cat is called Miezi.")
    lab.start(lost)
    wait_until(f"{lost} as the standby", lambda: roles(lab).get(lost) == "standby", 300)
    assert people.knows("third flowerpot", "Miezi")


def test_one_that_is_cut_off_still_talks_and_saves_nothing(lab: Lab, people: People) -> None:
    house = House(lab)
    for program in house.programs:
        wait_until(f"{program} whole", lambda program=program: house.whole(program), 300)
    lost = active(lab)
    assert lost

    lab[lost].cut_off()
    gap = wait_until("an answer", lambda: people.knows("Miezi"), 120)
    print(f"{lost} cut off: answered after {gap:.1f} s")
    wait_until(f"{lost} knows it", lambda: roles(lab).get(lost) == "cut_off", 60)
    said = lab.run(lost, "pipecatapp", "ask", "What can you do?", limit_s=300)
    assert said.code == 0, said.output
    refused = lab.run(lost, "pipecatapp", "memory", "import", "-", text=json.dumps({"text": "Lost.", "kind": "told"}))
    assert refused.code != 0
    lab[lost].reconnect()

    wait_until("an active one and a standby", lambda: both(lab), 300)
    assert people.tell("The second term goes on.")
    assert people.knows("third flowerpot", "Miezi", "second term")
    assert "Lost." not in people.ask("/api/memory")
    assert gap <= GAP_S


def test_all_off_and_all_on_is_one_house_again(lab: Lab, people: People) -> None:
    for name in SERVERS:
        lab[name].power_cut()
    began = time.monotonic()
    lab.start(*SERVERS)
    wait_until("an active one and a standby", lambda: both(lab), 600)
    wait_until("everything", lambda: people.knows("third flowerpot", "Miezi", "second term"), 120)
    print(f"a house again after {time.monotonic() - began:.0f} s")


def term(lab: Lab, node: str) -> int:
    """The last term that this node's agent was active in, as its log says."""
    said = lab.run(node, "journalctl", "--unit=pipecatapp", "--output=cat", "--grep=this agent is active").output
    return int(said.rpartition("term ")[2].split()[0])


def test_one_that_was_frozen_finds_a_later_term_and_stands_by(lab: Lab, people: People) -> None:
    before = active(lab)
    (other,) = {*AGENTS} - {before}
    old = term(lab, before)
    lab.run(before, "systemctl", "kill", "--signal=STOP", "pipecatapp.service")
    gap = wait_until("the other one", lambda: people.tell("Said while the first one was frozen."), 60)
    lab.run(before, "systemctl", "kill", "--signal=CONT", "pipecatapp.service")

    print(f"{before} frozen: saved elsewhere after {gap:.1f} s")
    wait_until("an active one and a standby", lambda: both(lab), 120)
    assert (active(lab), term(lab, before)) == (other, old)
    assert term(lab, other) > old
    assert people.knows("frozen")
