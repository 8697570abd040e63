"""The Ansible module `nomad_job`: what it compares, what it registers, what it says when a job finds no place."""

from __future__ import annotations

from typing import Any

import pytest

from testing.ansible_plugins import load
from testing.fakes.nomad_api import ScriptedNomad

pytestmark = pytest.mark.unit

module = load("modules/nomad_job")
NomadError = __import__("ansible.module_utils.nomad_http", fromlist=["NomadError"]).NomadError

PARSE, VALIDATE, PLAN, REGISTER = (
    "POST /v1/jobs/parse",
    "POST /v1/validate/job",
    "POST /v1/job/web/plan",
    "POST /v1/jobs",
)
CURRENT, ALLOCATIONS, EVALUATIONS = "GET /v1/job/web", "GET /v1/job/web/allocations", "GET /v1/job/web/evaluations"
SAME, OTHER = {"Diff": {"Type": "None"}}, {"Diff": {"Type": "Edited"}}
GIVEN = {"preserve_counts": True, "timeout": 0, "lasting": 0}


def job(count: int = 1, *, stop: bool = False, version: int = 3) -> dict[str, Any]:
    return {"ID": "web", "Stop": stop, "Version": version, "TaskGroups": [{"Name": "g", "Count": count}]}


def allocation(**changes: Any) -> dict[str, Any]:
    return {
        "NodeName": "n1", "TaskGroup": "g", "JobVersion": 3, "DesiredStatus": "run", "ClientStatus": "running",
        "CreateIndex": 1, "TaskStates": {},
    } | changes  # fmt: skip


def cluster(**answers: Any) -> ScriptedNomad:
    """A cluster in which the wanted job is registered and runs, with some other answers."""
    usual = {
        PARSE: [job()], VALIDATE: [{"ValidationErrors": None}], PLAN: [SAME], REGISTER: [{}],
        CURRENT: [job()], ALLOCATIONS: [[allocation()]], EVALUATIONS: [[]],
    }  # fmt: skip
    return ScriptedNomad(usual | {globals()[name.upper()]: given for name, given in answers.items()})


def bring_up(nomad: ScriptedNomad, *, dry: bool = False, **given: Any) -> Any:
    return module.bring_up(module.Job(nomad, "web"), 'job "web" {}', GIVEN | given, dry)


def test_what_runs_already_is_left_alone() -> None:
    nomad = cluster()
    assert bring_up(nomad) == (False, ["n1"], "")
    assert REGISTER not in nomad.written()


def test_a_new_job_is_registered_with_its_source() -> None:
    nomad = cluster(current=[None, job()])
    assert bring_up(nomad) == (True, ["n1"], "")
    assert (REGISTER, {"Job": job(), "Submission": {"Source": 'job "web" {}', "Format": "hcl2"}}) in nomad.asked


def test_a_stopped_job_starts_again_even_where_its_file_is_the_same() -> None:
    nomad = cluster(current=[job(stop=True), job()])
    assert bring_up(nomad)[0] is True
    assert REGISTER in nomad.written()


def test_a_job_that_sleeps_is_not_woken() -> None:
    nomad = cluster(parse=[job(1)], current=[job(0)], allocations=[[]])
    assert bring_up(nomad) == (False, [], "")
    assert dict(nomad.asked)[PLAN]["Job"]["TaskGroups"][0]["Count"] == 0


def test_a_job_that_has_to_run_is_woken() -> None:
    nomad = cluster(parse=[job(1)], current=[job(0), job(1)], plan=[OTHER])
    assert bring_up(nomad, preserve_counts=False)[0] is True
    assert dict(nomad.asked)[REGISTER]["Job"]["TaskGroups"][0]["Count"] == 1


def test_a_dry_run_registers_nothing() -> None:
    nomad = cluster(plan=[OTHER])
    assert bring_up(nomad, dry=True)[0] is True
    assert REGISTER not in nomad.written()


def test_another_id_in_the_file_is_refused() -> None:
    with pytest.raises(NomadError, match="describes the job 'other'"):
        bring_up(cluster(parse=[{**job(), "ID": "other"}]))


def test_what_nomad_finds_wrong_in_a_job_is_said() -> None:
    with pytest.raises(NomadError, match="no driver"):
        bring_up(cluster(validate=[{"ValidationErrors": ["no driver"]}]))


def test_a_job_without_a_place_says_which_nodes_refused_it() -> None:
    failed = {
        "g": {"NodesEvaluated": 3, "ConstraintFiltered": {"missing drivers": 2}, "DimensionExhausted": {"memory": 1}}
    }
    nomad = cluster(allocations=[[]], evaluations=[[{"ModifyIndex": 9, "FailedTGAllocs": failed}]])
    missing = bring_up(nomad)[2]
    assert missing == "g finds no place: 2 nodes do not meet: missing drivers; 1 nodes have too little: memory"


def test_a_house_without_a_ready_node_is_said() -> None:
    nomad = cluster(
        allocations=[[]], evaluations=[[{"ModifyIndex": 9, "FailedTGAllocs": {"g": {"NodesEvaluated": 0}}}]]
    )
    assert "no node is ready" in bring_up(nomad)[2]


def test_a_task_that_dies_tells_its_last_words() -> None:
    states = {"py": {"State": "dead", "Events": [{"DisplayMessage": "running as uid 0 is disallowed"}]}}
    nomad = cluster(allocations=[[allocation(ClientStatus="failed", TaskStates=states)]])
    assert bring_up(nomad)[2] == "py on n1: running as uid 0 is disallowed"


def test_an_older_version_that_still_runs_does_not_count() -> None:
    assert bring_up(cluster(allocations=[[allocation(JobVersion=2)]]))[2] == "g: 0 of 1 run"


def test_a_job_is_stopped_once() -> None:
    nomad = ScriptedNomad({CURRENT: [job()], "DELETE /v1/job/web": [{}], ALLOCATIONS: [[]]})
    assert module.take_down(module.Job(nomad, "web"), 0, False) == (True, "")
    gone = ScriptedNomad({CURRENT: [job(stop=True)]})
    assert module.take_down(module.Job(gone, "web"), 0, False) == (False, "")


def test_what_does_not_end_is_said() -> None:
    nomad = ScriptedNomad({CURRENT: [job()], "DELETE /v1/job/web": [{}], ALLOCATIONS: [[allocation()]]})
    assert module.take_down(module.Job(nomad, "web"), 0, False) == (True, "still on n1")


def test_a_job_of_another_namespace_is_asked_for_there() -> None:
    inside = {**job(), "Namespace": "creative"}
    nomad = ScriptedNomad({
        PARSE: [inside], VALIDATE: [{"ValidationErrors": None}], REGISTER: [{}], "GET /v1/namespace/creative": [{}],
        "GET /v1/job/web?namespace=creative": [None, inside],
        "GET /v1/job/web/allocations?namespace=creative": [[allocation()]],
    })  # fmt: skip
    found = module.bring_up(module.Job(nomad, "web", "creative"), "", GIVEN, False)
    assert found == (True, ["n1"], "")


def test_a_file_for_another_namespace_is_refused() -> None:
    with pytest.raises(NomadError, match="a job of the namespace 'default'"):
        module.Job(cluster(), "web", "creative").parsed("")


PLANNED = {
    "Diff": {"Type": "Added"},
    "Annotations": {"DesiredTGUpdates": {"g": {"Place": 2, "Stop": 0}}},
    "FailedTGAllocs": {"g": {"NodesEvaluated": 0}},
}


def test_a_plan_is_told_in_words() -> None:
    assert module.in_words(PLANNED) == [
        "the job would be made",
        "g: start 2",
        "g would find no place: no node is ready in its datacenter and pool",
    ]


def test_in_a_namespace_that_is_not_there_yet_the_plan_is_made_in_the_default_one() -> None:
    nomad = ScriptedNomad({"GET /v1/namespace/creative": [None], PLAN: [PLANNED]})
    said = module.Job(nomad, "web", "creative").foreseen({**job(), "Namespace": "creative"})
    assert said[:2] == ["the namespace creative would be made", "the job would be made"]
    assert dict(nomad.asked)[PLAN]["Job"]["Namespace"] == "default"


def test_nomad_is_not_asked_to_validate_in_a_namespace_that_is_not_there_yet() -> None:
    inside = {**job(), "Namespace": "creative"}
    nomad = ScriptedNomad(
        {PARSE: [inside], VALIDATE: [{"ValidationErrors": None}], "GET /v1/namespace/creative": [None]}
    )
    assert module.Job(nomad, "web", "creative").parsed("") == inside
    assert dict(nomad.asked)[VALIDATE]["Job"]["Namespace"] == "default"


def test_a_purged_job_is_forgotten_even_where_it_was_stopped_before() -> None:
    stop, purge = "DELETE /v1/job/web", "DELETE /v1/job/web?purge=true"
    nomad = ScriptedNomad({CURRENT: [job(stop=True)], stop: [{}], purge: [{}], ALLOCATIONS: [[]]})
    assert module.take_down(module.Job(nomad, "web"), 0, False, purge=True) == (True, "")
    assert nomad.written() == [stop, purge]
    assert module.take_down(module.Job(ScriptedNomad({CURRENT: [None]}), "web"), 0, False, purge=True) == (False, "")


def test_a_job_is_forgotten_only_when_nothing_of_it_runs() -> None:
    nomad = ScriptedNomad({CURRENT: [job()], "DELETE /v1/job/web": [{}], ALLOCATIONS: [[allocation()]]})
    assert module.take_down(module.Job(nomad, "web"), 0, False, purge=True) == (True, "still on n1")
