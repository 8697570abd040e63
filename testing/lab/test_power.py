"""Role power_agent on one real PC: its engine sleeps, wakes for a request, and a killed agent leaves nothing behind.

In order: each test finds the PC as the one before left it.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from testing.lab.lab import Lab
from testing.lab.node import Node, wait_until
from testing.lab.play import REPOSITORY, Play

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

SINGLE = "testing/lab/inventories/single.yaml"
NAME, AGENT, ENGINE = "prima-api-main", "pipecatapp-power.service", "pipecatapp-engine.service"
RIGHTS = 1 << 12 | 1 << 13 | 1 << 39  # CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF
# The starter model loads in less than a second: too short to be killed in.
SLOW = "[Service]\nExecStartPre=/bin/sleep 3\nExecStop=/bin/sleep 3\n"
BROKEN = "[Service]\nExecStartPre=/bin/false\n"


def play(lab: Lab, *, enabled: bool) -> Play:
    wanted = {"power_agent_enabled": enabled, "power_agent_idle": 10}
    return lab.play("playbook.yaml", SINGLE, "--tags=power_agent", "-e", json.dumps(wanted)).succeeded()


def told(node: Node) -> dict[str, Any]:
    """What its agent says of the engine; empty while it does not answer."""
    said = node.run("pipecatapp", "power", "list", "--json")
    if said.code:
        return {}
    listed: dict[str, Any] = json.loads(said.output)
    return {**listed["services"][0], "loader": listed["measured_by"], "broken": listed["broken"]}


def becomes(node: Node, *states: str, limit_s: float = 120) -> dict[str, Any]:
    """Wait for one of these states; what the agent says then."""
    last: dict[str, Any] = {}

    def is_so() -> bool:
        nonlocal last
        last = told(node)
        return last.get("state") in states

    try:
        wait_until(f"{states}", is_so, limit_s)
    except TimeoutError as error:
        log = node.run("journalctl", "-u", AGENT, "-n", "40", "--no-pager").output
        raise AssertionError(f"not {states}: {last}\n{log}") from error
    return last


def steer(node: Node, verb: str) -> None:
    done = node.run("pipecatapp", "power", verb, NAME)
    assert done.code == 0, done.output


def request(path: str = "/v1/chat/completions") -> str:
    """Shell code that asks the engine at its own port, as any client of this PC."""
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4})
    key = "$(cat /var/lib/pipecatapp/engine/api.key)"
    data = f"--data '{body}' --header 'Content-Type: application/json'" if "chat" in path else ""
    return f'curl -sS --max-time 90 --header "Authorization: Bearer {key}" {data} http://127.0.0.1:8081{path}'


def ask(node: Node) -> dict[str, Any]:
    said = node.run("sh", "-c", request(), limit_s=100)
    assert said.code == 0, said.output
    answer: dict[str, Any] = json.loads(said.output)
    assert answer.get("choices"), answer
    return answer


def led_away(node: Node) -> bool:
    """Whether requests to the engine's port are led to the agent."""
    rules = node.run("nft", "list", "table", "inet", "pipecatapp_power")
    return rules.code == 0 and "18081" in rules.output


def runs(node: Node) -> bool:
    return node.run("systemctl", "is-active", ENGINE).output.strip() == "active"


def process(node: Node) -> str:
    return node.run("systemctl", "show", "--property=MainPID", "--value", AGENT).output.strip()


def kill(node: Node) -> None:
    """Kill the agent as nothing can be done about, and wait for the next one."""
    before = process(node)
    node.run("systemctl", "kill", "--signal=KILL", AGENT)
    wait_until("another agent", lambda: process(node) not in (before, "0") and bool(told(node)), 60)


def change(node: Node, text: str) -> None:
    """How the engine's unit differs from what the roles wrote."""
    folder = f"/etc/systemd/system/{ENGINE}.d"
    (node.root / folder.lstrip("/")).mkdir(exist_ok=True)
    (node.root / folder.lstrip("/") / "test.conf").write_text(text)
    node.run("systemctl", "daemon-reload")


@pytest.fixture
def pc(lab: Lab) -> Node:
    return lab["n1"]


def test_switched_on_it_runs_and_a_second_run_changes_nothing(lab: Lab) -> None:
    (node,) = lab.add("n1", agent=True)
    # The node's agent is of an earlier day; role pipecatapp would bring this too, and take minutes.
    program = node.root / "opt/pipecatapp/program/src/power_agent"
    shutil.copytree(REPOSITORY / "src/power_agent", program, dirs_exist_ok=True)
    play(lab, enabled=True)

    again = play(lab, enabled=True)

    assert again.hosts["n1"].changed_tasks == []
    listed = becomes(node, "awake", "falling asleep", "asleep")  # on a busy machine two plays take minutes
    assert listed["broken"] == {}
    assert listed["loader"] == "the kernel (libbpf)", listed


def test_it_has_three_rights_and_is_small(pc: Node) -> None:
    status = pc.run("cat", f"/proc/{process(pc)}/status").output
    lines = dict(line.split(":", 1) for line in status.splitlines())

    assert {int(lines[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {RIGHTS}
    assert lines["NoNewPrivs"].strip() == "1"
    user = pc.run("id", "-u", "pipecatapp-power").output.strip()
    assert set(lines["Uid"].split()) == {user}
    assert int(lines["VmRSS"].split()[0]) <= 32 * 1024


def test_nobody_asks_and_it_sleeps_and_a_request_wakes_it(pc: Node) -> None:
    asleep = becomes(pc, "asleep", limit_s=240)

    assert asleep["why"] == "no work for 10 s"
    assert not runs(pc)
    assert led_away(pc)
    health = pc.run("sh", "-c", request("/health"))
    assert json.loads(health.output) == {"status": "ok", "power": "asleep"}
    models = pc.run("sh", "-c", request("/v1/models"))
    assert json.loads(models.output)["data"]
    assert told(pc)["state"] == "asleep"
    assert pc.run("systemctl", "is-active", "pipecatapp.service").output.strip() == "active"

    ask(pc)

    assert runs(pc)
    listed = becomes(pc, "awake")
    assert listed["wake_estimate_s"] > 0
    (day,) = list(listed["days"].values())[-1:]
    assert day["asleep_h"] > 0
    # A lab's node may have no controller of memory.
    counted = pc.run("systemctl", "show", "--property=MemoryCurrent", "--value", ENGINE).output.strip().isdecimal()
    assert (day["saved_ram_gb_h"] > 0) == counted
    assert not led_away(pc)
    ask(pc)


def test_what_the_household_wants_counts_within_seconds(pc: Node) -> None:
    policy = {"version": 1, "services": {NAME: {"never": True}}}
    (pc.root / "var/lib/pipecatapp/power_policy.json").write_text(json.dumps(policy))

    wait_until("never", lambda: told(pc).get("idle_s", 0) is None, 30)


def test_an_agent_killed_while_it_is_awake_finds_it_awake(pc: Node) -> None:
    kill(pc)

    becomes(pc, "awake")
    assert not led_away(pc)
    ask(pc)


def test_an_agent_killed_while_it_is_pinned_lets_it_stay_pinned(pc: Node) -> None:
    steer(pc, "pin")
    becomes(pc, "pinned")

    kill(pc)

    becomes(pc, "pinned")
    assert not led_away(pc)
    steer(pc, "unpin")
    becomes(pc, "awake")


def test_an_agent_killed_while_it_falls_asleep_loses_no_request(pc: Node) -> None:
    change(pc, SLOW)
    steer(pc, "sleep")
    becomes(pc, "falling asleep", "asleep")

    kill(pc)

    becomes(pc, "awake", "asleep", "waking")
    ask(pc)
    assert becomes(pc, "awake")
    assert not led_away(pc)


def test_an_agent_killed_while_it_sleeps_wakes_it_for_a_request(pc: Node) -> None:
    steer(pc, "sleep")
    becomes(pc, "asleep")

    kill(pc)

    becomes(pc, "asleep")
    assert led_away(pc)
    ask(pc)
    becomes(pc, "awake")
    assert not led_away(pc)


def test_an_agent_killed_while_it_wakes_goes_on_with_it(pc: Node) -> None:
    steer(pc, "sleep")
    becomes(pc, "asleep")
    pc.run("systemd-run", "--quiet", "--unit=asks", "sh", "-c", request())
    becomes(pc, "waking", limit_s=30)

    kill(pc)

    ask(pc)
    becomes(pc, "awake")
    assert not led_away(pc)


def test_an_agent_killed_while_the_engine_is_broken_wakes_it_once_it_is_mended(pc: Node) -> None:
    steer(pc, "sleep")
    becomes(pc, "asleep")
    change(pc, BROKEN)
    said = pc.run("sh", "-c", request(), limit_s=100)
    assert json.loads(said.output)["error"]["code"] == 503, said.output
    assert f"{ENGINE} ended" in said.output or f"{ENGINE} failed" in said.output
    becomes(pc, "failed")

    kill(pc)

    change(pc, SLOW)
    ask(pc)
    becomes(pc, "awake")
    assert not led_away(pc)


def test_of_an_agent_that_is_gone_for_good_no_rule_stays(pc: Node) -> None:
    steer(pc, "sleep")
    becomes(pc, "asleep")
    pc.run("systemctl", "kill", "--signal=KILL", AGENT)
    pc.run("systemctl", "stop", AGENT)

    wait_until("no rule", lambda: not led_away(pc), 90, every_s=2)

    pc.run("systemctl", "start", AGENT)
    becomes(pc, "asleep")
    assert led_away(pc)


def test_switched_off_it_wakes_what_sleeps_and_leaves_nothing(lab: Lab, pc: Node) -> None:
    assert told(pc)["state"] == "asleep"

    play(lab, enabled=False)

    wait_until("the engine", lambda: runs(pc), 60)
    ask(pc)
    assert pc.run("nft", "list", "table", "inet", "pipecatapp_power").code != 0
    assert pc.run("id", "pipecatapp-power").code != 0
    left = "ls -d /etc/systemd/system/*pipecatapp-power* /etc/pipecatapp-power* /var/lib/pipecatapp-power /run/*-power*"
    assert pc.run("sh", "-c", f"{left} 2>/dev/null").output == ""
    assert "pipecatapp-power" not in pc.run("systemctl", "list-units", "--all", "--no-legend").output
    assert play(lab, enabled=False).hosts["n1"].changed_tasks == []
