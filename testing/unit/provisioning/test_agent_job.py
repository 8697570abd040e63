"""What `services` does with the agent where the cluster runs it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from testing.ansible_plugins import PLUGINS
from testing.fakes.nomad_api import ScriptedNomad

pytestmark = pytest.mark.unit

ROLE = PLUGINS.parent / "roles/pipecatapp"
JOB, ALLOCATIONS, SCALE = (
    "GET /v1/job/pipecat-app",
    "GET /v1/job/pipecat-app/allocations",
    "POST /v1/job/pipecat-app/scale",
)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program as it lies on a node: beside the module that it shares with Ansible."""
    shared = str(PLUGINS / "module_utils")
    sys.path.insert(0, shared)
    try:
        spec = importlib.util.spec_from_file_location("agent_job", ROLE / "files/agent_job.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(shared)
    return module


def registered(count: int, *, stop: bool = False, agents: int = 0) -> dict[str, Any]:
    meta = {"agents": str(agents)} if agents else None
    return {"Stop": stop, "Meta": meta, "TaskGroups": [{"Name": "agent", "Count": count}]}


def on(node: str, status: str = "running") -> list[dict[str, str]]:
    return [{"NodeName": node, "ClientStatus": status}]


def agent(program: ModuleType, node: str = "n1", **answers: list[Any]) -> tuple[Any, ScriptedNomad]:
    nomad = ScriptedNomad({SCALE: [{}]} | {globals()[name.upper()]: given for name, given in answers.items()})
    return program.AgentJob(nomad, node, lambda seconds: None), nomad


def test_stop_ends_it_everywhere_and_waits_until_it_has_ended(program: ModuleType) -> None:
    job, nomad = agent(program, job=[registered(1)], allocations=[on("n2"), on("n2"), on("n2", "complete")])
    assert job.stop() == ""
    assert [body["Count"] for name, body in nomad.asked if name == SCALE] == [0]
    assert [name for name, _ in nomad.asked].count(ALLOCATIONS) == 3


def test_what_is_stopped_is_not_stopped_again(program: ModuleType) -> None:
    job, nomad = agent(program, job=[registered(0)], allocations=[[]])
    assert job.stop() == ""
    assert nomad.written() == []


def test_start_brings_it_back_wherever_there_is_a_place(program: ModuleType) -> None:
    job, nomad = agent(program, job=[registered(0)], allocations=[[], on("n3", "pending"), on("n3")])
    assert job.start() == ""
    assert [body["Count"] for name, body in nomad.asked if name == SCALE] == [1]


def test_start_brings_back_as_many_as_there_were(program: ModuleType) -> None:
    job, nomad = agent(program, job=[registered(0, agents=2)], allocations=[on("n1") + on("n3")])
    assert job.start() == ""
    assert [body["Count"] for name, body in nomad.asked if name == SCALE] == [2]


def test_start_says_what_to_do_where_there_is_no_job(program: ModuleType) -> None:
    job, nomad = agent(program, job=[registered(1, stop=True)])
    assert "run the playbook" in job.start()
    assert nomad.written() == []


def test_a_job_without_a_place_is_no_success(program: ModuleType) -> None:
    job, _ = agent(program, job=[registered(1)], allocations=[[]])
    assert "finds no place" in job.start()


def test_a_restart_is_for_the_node_on_which_it_runs(program: ModuleType) -> None:
    job, nomad = agent(program, "n1", job=[registered(1)], allocations=[on("n2")])
    assert job.restart() == ""
    assert nomad.written() == []


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_restart_is_of_this_nodes_unit_and_the_job_brings_it_back(program: ModuleType, comes_back: bool) -> None:
    asked: list[str] = []

    def systemctl(*words: str) -> int:
        asked.append(words[0])
        return 0 if words[0] == "stop" or (comes_back and len(asked) > 3) else 3

    nomad = ScriptedNomad({ALLOCATIONS: [on("n1") + on("n2")]})
    job = program.AgentJob(nomad, "n1", lambda seconds: None, systemctl)
    assert ("does not start it again" in job.restart()) is not comes_back
    assert asked[:4] == ["stop", "is-active", "is-active", "is-active"]
    assert nomad.written() == []


@pytest.mark.parametrize(
    ("job", "allocations", "said"),
    [
        (registered(1), on("n2"), "job pipecat-app runs on n2"),
        (registered(0), [], "job pipecat-app is stopped"),
        (registered(1), [], "job pipecat-app waits for a place"),
        (None, [], "no job pipecat-app in the cluster"),
    ],
)
def test_the_state_is_the_truth(program: ModuleType, job: Any, allocations: Any, said: str) -> None:
    assert agent(program, job=[job], allocations=[allocations])[0].state() == said


def test_a_cluster_that_does_not_answer_is_said(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "cluster.env"
    assert program.main("n1", settings, "state") == 0
    assert "the cluster does not say" in capsys.readouterr().out
    assert program.main("n1", settings, "up") == 1


def test_settings_are_read_as_the_agent_reads_them(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "cluster.env").write_text("#\n# Ansible\nNOMAD_ADDR=https://127.0.0.1:4646\nNOMAD_TOKEN=a=b\n")
    assert program.read_settings(tmp_path / "cluster.env") == {
        "NOMAD_ADDR": "https://127.0.0.1:4646", "NOMAD_TOKEN": "a=b"
    }  # fmt: skip
