"""The agent as the cluster's job, told in order: three PCs with one each become a cluster with one, wherever it runs.

Without a journal that they share (`house_shares`; `test_survive.py` is the house that has one): an agent that starts on
another machine has what was said on that one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from testing.lab.house import SERVERS, THREE, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600), needs_nomad]

STARTER = ("--extra-vars", '{"models_pull_arguments": ["all-minilm-l6-v2"], "house_shares": false}')
SERVICE = "pipecat-app"
# A lost machine is missed after 9 s at most, and 15 s are waited for its agent to end by itself.
MISSED_S = 24.0
# An agent's start, and what a machine of two cores for all nodes adds to all of it.
SLACK_S = 180.0
_ANSWERS = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "2")
# The agent keeps its journal to itself while it runs.
_REMEMBERED = """
import json, sqlite3, urllib.request
folder = "/var/lib/pipecatapp/"
try:
    token = open(folder + "token").read().strip()
    asked = urllib.request.Request("http://127.0.0.1:8000/api/conversations",
                                   headers={"Authorization": "Bearer " + token})
    print(*(one["id"] for one in json.load(urllib.request.urlopen(asked, timeout=10))["conversations"]))
except OSError:
    journal = sqlite3.connect("file:" + folder + "journal.db?mode=ro", uri=True)
    print(*(row[0] for row in journal.execute("SELECT id FROM conversations")))
"""
# What the unit keeps from the agent, as the kernel says it of its processes.
_SANDBOX = """
pid=$(systemctl show --property MainPID --value pipecatapp)
grep -E '^(NoNewPrivs|Seccomp|CapBnd|CapEff|Uid):' "/proc/$pid/status"
cat "/proc/$pid/cgroup"
for place in /usr /etc/pipecatapp /home /var/lib/pipecatapp; do
  grep " $place " "/proc/$pid/mountinfo" | tail -1 | cut -d ' ' -f 5,6
done
"""


@pytest.fixture(scope="module")
def house(lab: Lab) -> House:
    """Three PCs with an agent each, of which the first has been spoken with."""
    lab.add(*SERVERS, agent=True)
    for node in SERVERS:
        wait_until(f"the agent of {node}", lambda node=node: answers(lab, node), 300)
    assert ask(lab, "n1", "before") != ""
    return House(lab)


def answers(lab: Lab, node: str) -> bool:
    """Whether an agent of this node says on the house's network that it can answer."""
    done = lab.control(*_ANSWERS, f"http://{lab[node].address}:8000/health")
    return done.output == "200"


def answering(lab: Lab) -> list[str]:
    return [node for node in SERVERS if answers(lab, node)]


def listening(lab: Lab) -> list[str]:
    """Where an agent runs, whether or not the house reaches it."""
    here = ("curl", "--silent", "--output", "/dev/null", "--max-time", "2", "http://127.0.0.1:8000/health")
    return [node.name for node in lab if node.running and node.run(*here).code == 0]


def ask(lab: Lab, node: str, conversation: str) -> str:
    done = lab.run(node, "pipecatapp", "ask", f"--conversation={conversation}", "What can you do?", limit_s=300)
    assert done.code == 0, done.output
    return done.output.strip()


def conversations(lab: Lab, node: str) -> set[str]:
    done = lab.run(node, "python3", "-c", _REMEMBERED)
    assert done.code == 0, done.output
    return set(done.output.split())


def home(house: House, *watchers: str) -> str:
    """The node on which Consul says that the agent can be used; empty where there is not exactly one."""
    for watcher in watchers or SERVERS:
        found = house.ask("consul", watcher, f"/v1/health/service/{SERVICE}?passing")
        if found is not None:
            return found[0]["Node"]["Node"] if len(found) == 1 else ""
    return ""


class Census:
    """Asks all machines for their agent, over the network and on the machine itself; use as a context manager."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._end = threading.Event()
        self._answering: list[int] = []
        self._listening: list[int] = []
        self._threads = [
            threading.Thread(target=self._watch, args=(answering, self._answering)),
            threading.Thread(target=self._watch, args=(listening, self._listening)),
        ]

    def __enter__(self) -> Census:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, look: Callable[[Lab], list[str]], seen: list[int]) -> None:
        while not self._end.wait(0.3):
            try:
                seen.append(len(look(self._lab)))
            except RuntimeError:  # a machine lost its power between two looks
                continue

    def most(self) -> tuple[int, int]:
        """How many answered at once, and how many ran at once."""
        return max(self._answering), max(self._listening)


def alone(house: House, node: str) -> bool:
    return answering(house.lab) == [node] and home(house) == node


def others(name: str) -> Sequence[str]:
    return [node for node in SERVERS if node != name]


def test_three_pcs_become_a_cluster_with_one_agent(lab: Lab, house: House) -> None:
    state = lab.run("n1", "sha256sum", "/var/lib/pipecatapp/token", "/var/lib/pipecatapp/tls/ca.key").output
    began = time.monotonic()

    lab.play("playbook.yaml", THREE, *STARTER, limit_s=3000).succeeded()

    print(f"a cluster after {time.monotonic() - began:.0f} s")
    wait_until("one agent, on the first controller", lambda: alone(house, "n1"), 120)
    assert listening(lab) == ["n1"]
    for node in SERVERS:
        assert lab.run(node, "systemctl", "is-enabled", "pipecatapp.service").output.strip() == "static"
    assert lab.run("n1", "sha256sum", "/var/lib/pipecatapp/token", "/var/lib/pipecatapp/tls/ca.key").output == state
    assert "before" in conversations(lab, "n1")
    assert len(ask(lab, "n1", "after").split()) >= 3


def test_the_units_sandbox_is_around_the_job(lab: Lab) -> None:
    said = lab.run("n1", "bash", "-c", _SANDBOX).output
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said
    assert "CapBnd:\t0000000000000000" in said
    assert "/system.slice/pipecatapp.service" in said
    mounts = dict(line.split(" ", 1) for line in said.splitlines() if line.startswith("/"))
    assert mounts["/var/lib/pipecatapp"].startswith("rw")
    # What runs code for the model works inside.
    checked = lab.run("n1", "pipecatapp", "status")
    assert checked.code == 0, checked.output


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    again = lab.play("playbook.yaml", THREE, *STARTER, limit_s=3000).succeeded()
    assert {name: host.changed_tasks for name, host in again.hosts.items()} == {"n1": [], "n2": [], "n3": []}


def test_a_job_that_is_killed_ends_its_agent_and_another_comes(lab: Lab, house: House) -> None:
    before = lab.run("n1", "systemctl", "show", "--property=MainPID", "pipecatapp").output
    with Census(lab) as census:
        lab.run("n1", "pkill", "--signal=KILL", "--full", "held_unit.py hold")
        wait_until("another agent", lambda: lab.run("n1", "systemctl", "show", "--property=MainPID",
                                                    "pipecatapp").output not in (before, "MainPID=0\n"))  # fmt: skip
        wait_until("one that answers", lambda: alone(house, "n1"), SLACK_S)
    assert census.most() == (1, 1)


def test_the_links_are_those_of_the_machine_where_it_runs(lab: Lab) -> None:
    assert "?token=" in lab.run("n1", "pipecatapp", "link").output
    elsewhere = lab.run("n2", "pipecatapp", "link")
    assert "?token=" not in elsewhere.output
    assert f"n1 ({lab['n1'].address})" in elsewhere.output


@pytest.mark.parametrize("how", ["cut_off", "power_cut"])
def test_another_machine_takes_over_and_there_is_never_a_second_one(lab: Lab, house: House, how: str) -> None:
    for program in house.programs:
        # A server that came back has no vote for a while: without it the next loss would be one too many.
        wait_until(f"{program} whole", lambda program=program: house.whole(program), 300)
    lost = home(house)
    assert lost
    left = others(lost)
    with Census(lab) as census:
        getattr(lab[lost], how)()
        took = wait_until("an agent elsewhere", lambda: home(house, *left) in left, MISSED_S + SLACK_S)
        print(f"{how}: elsewhere in Consul after {took:.1f} s")
        heir = home(house, *left)
        assert len(ask(lab, heir, f"on-{heir}").split()) >= 3
        if how == "cut_off":
            # Alone, it ended by itself.
            assert listening(lab) == [heir]
            lab[lost].reconnect()
        else:
            lab.start(lost)
        wait_until(f"{lost} back", lambda: ready(house, lost), 300)
        time.sleep(20)  # more than two of Nomad's and Consul's rounds: a second agent would be here
        wait_until("one agent", lambda: home(house) != "" and answering(lab) == [home(house)], 120)
    print(f"most at once: {census.most()}")
    assert census.most() == (1, 1)
    # Its memory stays where it was made, and whole.
    assert "before" in conversations(lab, "n1")
    assert f"on-{heir}" in conversations(lab, heir)


def ready(house: House, node: str) -> bool:
    known = house.ask("nomad", others(node)[0], "/v1/nodes") or []
    return any(one["Name"] == node and one["Status"] == "ready" for one in known)
