"""An expert as a job, told in order: deployed by one command, asked through the agent, hit, healed, and taken away.

The starter model over llama.cpp's RPC on two of three PCs: small, and every part of a big one is in it.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence

import pytest

from testing.lab.house import SERVERS, THREE, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.play import Play

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600), needs_nomad]

STARTER = ("--extra-vars", '{"models_pull_arguments": ["all-minilm-l6-v2"]}')
SERVICE = "prima-api-creative"
EXPERT = {
    "job_name": "creative-expert", "service_name": SERVICE, "namespace": "creative", "model_list": ["starter"],
    "worker_count": 2, "expert_engines": ["rpc"], "expert_reserve_mb": 500, "expert_patience": 300,
}  # fmt: skip
# An engine that died is back within this and its load; a machine of two cores for all nodes adds to it.
BACK_S = 60.0
SLACK_S = 180.0
_STATES = ("curl", "--silent", "--max-time", "3", "http://127.0.0.1:8000/api/experts")


@pytest.fixture(scope="module")
def house(lab: Lab) -> House:
    """Three PCs with an agent each, which became a cluster."""
    lab.add(*SERVERS, agent=True)
    lab.play("playbook.yaml", THREE, *STARTER, limit_s=3000).succeeded()
    return House(lab)


def deploy(house: House, *options: str, **changes: object) -> Play:
    return house.lab.play("deploy_expert.yaml", THREE, "-e", json.dumps(EXPERT | changes), *options, limit_s=2400)


def passing(house: House) -> list[str]:
    """The nodes whose instance of the expert passes in Consul."""
    found = house.ask("consul", "n1", f"/v1/health/service/{SERVICE}?passing") or []
    return sorted(entry["Node"]["Node"] for entry in found)


def ranks(house: House) -> list[str]:
    found = house.ask("consul", "n1", "/v1/health/service/creative-expert-rank?passing") or []
    return sorted(entry["Node"]["Node"] for entry in found)


def agent_node(house: House) -> str:
    """Whose agent answers; the other one only follows it."""
    for entry in house.ask("consul", "n1", "/v1/health/service/pipecat-app?passing"):
        node: str = entry["Node"]["Node"]
        health = house.lab.run(node, "curl", "--silent", "--max-time", "3", "http://127.0.0.1:8001/health")
        if '"active"' in health.output:
            return node
    raise AssertionError("no agent is active")


def experts_of_the_agent(house: House) -> list[str]:
    """The experts that the agent names, as its page is told."""
    script = 'curl --silent --max-time 5 -H "Authorization: Bearer $(cat /var/lib/pipecatapp/token)" ' + _STATES[-1]
    done = house.lab.run(agent_node(house), "sh", "-c", script)
    return [one["name"] for one in json.loads(done.output)["experts"] if one["healthy"]] if done.code == 0 else []


# A pattern in brackets does not find the command that looks for it.
def left_behind(house: House, names: Sequence[str]) -> dict[str, str]:
    """Files, processes and ports of an expert that are still on a node."""
    script = (
        "ls /opt/nomad/jobs /opt/pipecatapp/experts /etc/pipecatapp/experts /var/lib/pipecatapp/experts 2>/dev/null"
    )
    script += " | grep creative; pgrep -fa '[c]reative-expert|[g]gml-rpc-server'"
    script += "; ss -Hltn '( sport >= :8200 and sport < :8210 )'"
    return {name: said for name in names if (said := house.lab.run(name, "sh", "-c", script).output.strip())}


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(house: House) -> None:
    done = deploy(house, "--check").succeeded()
    assert "the namespace creative would be made" in done.output
    assert "expert: start 2" in done.output
    assert house.ask("nomad", "n1", "/v1/namespace/creative") is None
    assert left_behind(house, SERVERS) == {}


def test_one_command_deploys_it_and_the_agent_knows_it_without_a_restart(house: House) -> None:
    home = agent_node(house)
    before = house.lab.run(home, "systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "pipecatapp").output
    began = time.monotonic()
    done = deploy(house).succeeded()
    print(f"deployed after {time.monotonic() - began:.0f} s")
    assert "creative-expert answers at " in done.output
    assert len(passing(house)) == 1
    assert len(ranks(house)) == 2
    wait_until("the agent knows it", lambda: "creative" in experts_of_the_agent(house), 120)
    after = house.lab.run(home, "systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "pipecatapp").output
    assert (agent_node(house), after) == (home, before)
    (kept,) = house.ask("consul", "n1", "/v1/kv/experts/creative-expert/active_model")
    assert base64.b64decode(kept["Value"]) == b"starter"


def test_a_second_run_changes_nothing(house: House) -> None:
    done = deploy(house).succeeded()
    assert done.changed == 0, done.output


def test_without_its_key_it_answers_nobody(house: House) -> None:
    (node,) = passing(house)
    url = f"http://{house.lab[node].address}:8200/v1/chat/completions"
    body = '{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}'
    ask = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "60", url]
    ask += ["-H", "Content-Type: application/json", "-d", body]
    assert house.lab.run(node, *ask).output == "401"
    keyed = " ".join(f"'{word}'" for word in ask)
    done = house.lab.run(
        node, "sh", "-c", f'{keyed} -H "Authorization: Bearer $(cat /etc/pipecatapp/experts/creative.key)"', limit_s=120
    )
    assert done.output == "200"


def test_the_agent_asks_it(house: House) -> None:
    body = json.dumps({"model": "creative", "messages": [{"role": "user", "content": "a word"}], "max_tokens": 8})
    script = 'curl --silent --max-time 120 -H "Content-Type: application/json" '
    script += '-H "Authorization: Bearer $(cat /var/lib/pipecatapp/token)" '
    script += f"-d '{body}' http://127.0.0.1:8000/v1/chat/completions"
    done = house.lab.run(agent_node(house), "sh", "-c", script, limit_s=180)
    answer = json.loads(done.output)
    assert answer["choices"][0]["message"]["content"], done.output


def test_a_rank_that_is_killed_comes_back_and_words_with_it(house: House) -> None:
    (head,) = passing(house)
    (other,) = set(ranks(house)) - {head}
    assert house.lab.run(other, "pkill", "-9", "-f", "[g]gml-rpc-server").code == 0
    wait_until("the loss is seen", lambda: passing(house) == [], BACK_S + SLACK_S)
    wait_until("words again", lambda: len(passing(house)) == 1, BACK_S + SLACK_S)


def test_a_supervisor_that_is_killed_leaves_no_engine_behind(house: House) -> None:
    (head,) = passing(house)

    def engines() -> list[str]:
        return house.lab.run(head, "sh", "-c", "pgrep -f '[l]lama-server.*--port 8200' || true").output.split()

    (before,) = engines()
    assert house.lab.run(head, "pkill", "-9", "-f", "[e]xpert run").code == 0
    wait_until("its engine is gone", lambda: before not in engines(), SLACK_S)
    wait_until(
        "two ranks and words",
        lambda: len(ranks(house)) == 2 and len(passing(house)) == 1 and len(engines()) == 1,
        BACK_S + SLACK_S,
    )


def test_it_sleeps_and_a_run_does_not_wake_it(house: House) -> None:
    scale = "/v1/job/creative-expert/scale?namespace=creative"
    house.ask("nomad", "n1", scale, {"Count": 0, "Target": {"Group": "expert"}})
    wait_until("asleep", lambda: ranks(house) == [], SLACK_S)
    deploy(house).succeeded()
    house.heal().succeeded()
    assert ranks(house) == []
    house.ask("nomad", "n1", scale, {"Count": 2, "Target": {"Group": "expert"}})
    wait_until("awake", lambda: len(passing(house)) == 1, BACK_S + SLACK_S)


def test_nomads_own_words_stop_and_measure(house: House) -> None:
    changes = {"job_name": "llamacpp-rpc", "service_name": "prima-api-general", "namespace": "default"}
    deploy(house, **changes).succeeded()
    assert house.lab.run("n1", "nomad", "job", "stop", "-purge", "llamacpp-rpc", limit_s=120).code == 0
    assert deploy(house, **changes, state="absent").succeeded()
    assert house.lab.run("n1", "nomad", "job", "run", "-detach", "/opt/nomad/jobs/benchmark.nomad").code == 0
    shown = ("pipecatapp", "bench", "show", "--json")
    wait_until("figures", lambda: '"generated"' in house.lab.run("n1", *shown).output, 600)


def test_taken_away_it_leaves_nothing(house: House) -> None:
    deploy(house, state="absent").succeeded()
    assert house.ask("nomad", "n1", "/v1/namespace/creative") is None
    for service in (SERVICE, "creative-expert-rank"):
        assert house.ask("consul", "n1", f"/v1/catalog/service/{service}") == []
    assert house.ask("consul", "n1", "/v1/kv/experts/creative-expert/?keys") is None
    assert left_behind(house, SERVERS) == {}
    wait_until("the agent forgets it", lambda: "creative" not in experts_of_the_agent(house), 120)
