"""What role heal judges: units, disks, a lost quorum, jobs, and the words for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.ansible_plugins import load
from testing.fakes.nomad_api import ScriptedNomad

pytestmark = pytest.mark.unit

words = load("filter/heal")
look = load("modules/heal_look")
space = load("modules/heal_space")
starting = load("modules/heal_start")
health = load("modules/cluster_health")
job_module = load("modules/nomad_job")
disks = __import__("ansible.module_utils.disks", fromlist=["disks"])
units = __import__("ansible.module_utils.units", fromlist=["units"])
NomadError = __import__("ansible.module_utils.nomad_http", fromlist=["NomadError"]).NomadError

SERVERS = ["n1", "n2", "n3"]


def server(*, leader: bool = False, has_log: bool = True, voters: list[str] | None = None) -> dict[str, Any]:
    trouble = "" if leader else "sees no leader"
    return {"leader": leader, "has_log": has_log, "voters": voters or [], "trouble": trouble, "members": {}}


def told(*, mended: list[str] | None = None, left: list[dict[str, str]] | None = None, **state: Any) -> dict[str, Any]:
    return {"mended": mended or [], "open": left or [], "state": state}


# Units


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"ActiveState": "active", "SubState": "running"}, ""),
        ({"ActiveState": "activating", "SubState": "start"}, ""),
        ({"ActiveState": "inactive", "SubState": "dead"}, "stopped"),
        ({"ActiveState": "failed", "Result": "exit-code"}, "failed (exit-code)"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "core-dump"}, "failed (core-dump)"),
        ({"ActiveState": "inactive", "LoadState": "masked"}, "masked"),
    ],
)
def test_a_unit_that_does_not_run_is_told_with_its_reason(state: dict[str, str], why: str) -> None:
    assert units.trouble(state) == why


def test_only_what_always_runs_as_a_unit_is_expected_to(tmp_path: Path) -> None:
    for name, restart in (("consul", "always"), ("pipecatapp-engine-prepare", "failure"), ("pipecatapp", "always")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "restart").write_text(f"{restart}\n")
    (tmp_path / "pipecatapp/control").write_text("the cluster runs it")

    assert look.wanted(tmp_path) == ["consul"]
    assert look.wanted(tmp_path / "nowhere") == []


def test_daemons_start_before_what_needs_them() -> None:
    assert starting.order(["pipecatapp-engine", "nomad", "consul", "pipecatapp-firewall"]) == [
        "pipecatapp-firewall", "consul", "nomad", "pipecatapp-engine",
    ]  # fmt: skip


# Disks


@pytest.mark.parametrize(
    ("size_mb", "free_mb", "full"), [(100_000, 299, True), (100_000, 301, False), (40, 1, True), (40, 3, False)]
)
def test_a_disk_is_full_by_what_is_free_of_its_size(size_mb: int, free_mb: int, full: bool) -> None:
    assert disks.is_full({"size_mb": size_mb, "free_mb": free_mb}, 300) is full


def test_the_biggest_are_named_where_they_are_and_not_by_every_folder_above() -> None:
    found = {"/": 1000, "/var": 900, "/var/lib": 880, "/var/lib/a": 500, "/var/lib/b": 370, "/srv": 90, "/srv/x": 88}

    assert disks.biggest(found) == [{"path": "/var/lib", "mb": 880}, {"path": "/srv/x", "mb": 88}]
    assert disks.biggest({"/srv/party.mov": 39, "/srv": 39}) == [{"path": "/srv/party.mov", "mb": 39}]
    assert disks.biggest({}) == []


def test_a_disk_is_looked_at_once_however_many_folders_it_has(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    found = disks.rooms([tmp_path, tmp_path / "a", tmp_path / "missing"])

    assert len(found) == 1
    assert Path(found[0]["mount"]).is_mount()


def test_only_versions_that_are_not_in_use_are_old(tmp_path: Path) -> None:
    for version in ("1.8.7", "1.9.0"):
        (tmp_path / "consul" / version).mkdir(parents=True)
    (tmp_path / "consul/current").symlink_to("1.9.0")
    (tmp_path / "nomad/2.0.5").mkdir(parents=True)

    assert [path.name for path in space.old_versions(tmp_path)] == ["1.8.7"]


def test_room_is_made_on_the_full_disk_alone(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_bytes(b"x" * 8192)
    (tmp_path / "app.log").write_text("still written")
    device = tmp_path.stat().st_dev

    assert space.remove(space.rotated(tmp_path), {device + 1}, dry=False) == 0
    assert (tmp_path / "app.log.1").exists()
    assert space.remove(space.rotated(tmp_path), {device}, dry=True) >= 8192
    assert (tmp_path / "app.log.1").exists()
    assert space.remove(space.rotated(tmp_path), {device}, dry=False) >= 8192
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"]


def test_a_folder_that_becomes_a_link_leads_root_nowhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/app.old").write_text("somebody's")
    logs = tmp_path / "logs"
    (logs / "app/more").mkdir(parents=True)
    (logs / "app/more/app.old").write_text("ours")

    def swapped() -> Iterator[Path]:
        found = list(space.rotated(logs))
        (logs / "app/more").rename(logs / "app/away")
        (logs / "app/more").symlink_to(tmp_path / "etc")
        yield from found

    with pytest.raises(OSError, match="more"):
        space.remove(swapped(), {tmp_path.stat().st_dev}, dry=False, others=logs)

    assert (tmp_path / "etc/app.old").exists()


def test_a_log_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("somebody's")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/app.log.1").symlink_to(tmp_path / "outside")

    space.remove(space.rotated(tmp_path / "logs"), {tmp_path.stat().st_dev}, dry=False)

    assert (tmp_path / "outside").exists()
    assert (tmp_path / "logs/app.log.1").is_symlink()


# The quorum


def test_one_of_three_has_lost_the_quorum_and_the_warning_says_what_that_costs() -> None:
    found = words.quorums({"n1": {"consul": server()}}, SERVERS, SERVERS)["consul"]

    assert (found["lost"], found["left"], found["gone"], found["refusal"]) == (True, ["n1"], ["n2", "n3"], "")
    assert "n1 goes on without n2 and n3" in found["warning"]
    assert "must not come back with the old disk" in found["warning"]
    assert "Switch n2 and n3 on" in found["open"]["next"]
    assert "heal_recover_quorum=yes" in found["open"]["next"]


@pytest.mark.parametrize(
    "states",
    [
        {"n1": {"consul": server()}, "n2": {"consul": server()}},  # two of three: they find each other, or are ill
        {"n1": {"consul": server()}, "n4": {"consul": server(leader=True)}},  # somebody sees a leader
        {"n1": {"consul": server(has_log=False)}},  # nothing to go on with
        {},
    ],
)
def test_a_quorum_that_is_not_lost_is_never_recovered(states: dict[str, Any]) -> None:
    assert not words.quorums(states, SERVERS, SERVERS)["consul"]["lost"]


def test_who_votes_is_what_the_servers_log_says_also_where_the_inventory_forgot_the_lost() -> None:
    found = words.quorums({"n1": {"nomad": server(voters=SERVERS)}}, ["n1"], ["n1"])["nomad"]

    assert found["lost"]
    assert found["gone"] == ["n2", "n3"]


def test_with_a_limit_nobody_is_given_up() -> None:
    found = words.quorums({"n1": {"consul": server()}}, SERVERS, ["n1"])["consul"]

    assert found["lost"]
    assert found["refusal"] == "this run did not ask n2 and n3"
    assert "without --limit" in found["open"]["next"]


# Jobs


def test_the_newest_file_of_a_job_counts() -> None:
    files = {"n1": {"web": 5.0, "old": 1.0}, "n2": {"web": 9.0}, "n3": {}}

    assert words.newest_files(files) == {"old": "n1", "web": "n2"}


def test_what_came_of_jobs_is_said() -> None:
    results = [
        {"item": "web", "changed": True, "nodes": ["n1"]},
        {"item": "well", "changed": False, "nodes": ["n2"]},
        {"item": "bad", "changed": True, "msg": "job bad after 3 s: no node is ready"},
        {"item": "later", "skipped": True, "msg": "not now"},
    ]

    assert words.jobs_mended(results) == ["the job web did not run: run again, on n1"]
    assert [each["problem"] for each in words.jobs_open(results)] == ["job bad after 3 s: no node is ready"]


def cluster(**answers: Any) -> ScriptedNomad:
    script: dict[str, Any] = {
        "GET /v1/job/web": [job()],
        "GET /v1/job/web/allocations": [[allocation()]],
        "GET /v1/job/web/evaluations": [[]],
        "POST /v1/jobs/parse": [job(count=5)],
        "POST /v1/validate/job": [{"ValidationErrors": []}],
        "POST /v1/jobs": [{}],
        "POST /v1/job/web/evaluate": [{}],
    }
    return ScriptedNomad(script | answers)


def job(count: int = 1, *, stop: bool = False) -> dict[str, Any]:
    return {"ID": "web", "Stop": stop, "Version": 3, "TaskGroups": [{"Name": "g", "Count": count}]}


def allocation(status: str = "running") -> dict[str, Any]:
    return {
        "NodeName": "n1", "TaskGroup": "g", "JobVersion": 3, "DesiredStatus": "run", "ClientStatus": status,
        "CreateIndex": 1, "TaskStates": {},
    }  # fmt: skip


AGAIN = {"patience": 0, "timeout": 0, "lasting": 0}


def bring_back(nomad: ScriptedNomad) -> tuple[bool, list[str], str]:
    done: tuple[bool, list[str], str] = job_module.bring_back(job_module.Job(nomad, "web"), "job {}", AGAIN, False)
    return done


def test_a_job_that_runs_is_left_alone_whatever_the_file_says() -> None:
    nomad = cluster()

    assert bring_back(nomad) == (False, ["n1"], "")
    assert nomad.written() == []


def test_a_job_that_sleeps_is_left_asleep() -> None:
    nomad = cluster(**{"GET /v1/job/web": [job(count=0)], "GET /v1/job/web/allocations": [[]]})

    assert bring_back(nomad) == (False, [], "")
    assert nomad.written() == []


def test_a_job_that_was_stopped_is_run_again_with_the_count_it_had() -> None:
    nomad = cluster(**{"GET /v1/job/web": [job(count=2, stop=True), job(count=2)],
                       "GET /v1/job/web/allocations": [[allocation(), allocation()]]})  # fmt: skip

    assert bring_back(nomad) == (True, ["n1", "n1"], "")
    registered = next(body for name, body in nomad.asked if name == "POST /v1/jobs")
    assert registered["Job"]["TaskGroups"][0]["Count"] == 2


def test_a_job_that_nomad_has_forgotten_is_run_from_its_file() -> None:
    nomad = cluster(**{"GET /v1/job/web": [None, job()], "POST /v1/jobs/parse": [job()]})

    assert bring_back(nomad) == (True, ["n1"], "")


def test_a_job_whose_tries_are_used_up_is_placed_anew() -> None:
    nomad = cluster(**{"GET /v1/job/web/allocations": [[allocation("failed")], [allocation()]]})

    assert bring_back(nomad) == (True, ["n1"], "")
    assert nomad.written()[-1] == "POST /v1/job/web/evaluate"


# How Nomad is


def test_a_server_without_a_leader_is_not_one_that_is_silent() -> None:
    def trouble(answer: Any) -> str:
        return str(health.nomad_trouble(ScriptedNomad({"GET /v1/status/leader": [answer]}), "n1", False))

    assert trouble("10.0.0.1:4647") == ""
    assert trouble(NomadError("no cluster leader", 500)) == "sees no leader"
    assert trouble(NomadError("refused")) == "does not answer"


def test_the_best_node_of_a_name_counts_and_a_drained_one_is_told() -> None:
    def node(name: str, status: str, eligible: bool = True) -> dict[str, Any]:
        eligibility = "eligible" if eligible else "ineligible"
        return {"Name": name, "Status": status, "SchedulingEligibility": eligibility, "Drain": False}

    nodes = [
        node("n1", "down"),
        node("n1", "ready"),
        node("n2", "ready"),
        node("n2", "down"),
        node("n3", "ready", False),
    ]

    assert health.nomad_members(ScriptedNomad({"GET /v1/nodes": [nodes]})) == {
        "n1": "ready", "n2": "ready", "n3": "ready, takes no jobs",
    }  # fmt: skip


# The words


def test_a_house_that_is_well_gets_a_line_for_each_machine_and_no_work() -> None:
    said = words.heal_report({name: told(consul=server(leader=True)) for name in SERVERS}, SERVERS, {})

    assert said == {"lines": ["n1: well.", "n2: well.", "n3: well."], "open": 0}


def test_what_was_mended_what_was_not_and_who_is_silent_is_said_with_the_next_step() -> None:
    full = {"problem": "the disk at / is full", "next": "make room"}
    said = words.heal_report({"n1": told(mended=["consul had stopped: started"]), "n2": told(left=[full])}, SERVERS, {})

    assert said["open"] == 2
    assert said["lines"][:3] == [
        "n1: consul had stopped: started.", "n2: NOT MENDED: the disk at / is full.", "    Next: make room.",
    ]  # fmt: skip
    assert said["lines"][3].startswith("n3: NOT MENDED: does not answer")


def test_a_lost_quorum_is_told_once() -> None:
    quorum = words.quorums({"n1": {"consul": server()}}, SERVERS, SERVERS)
    said = words.heal_report({"n1": told(consul=server(), left=[quorum["consul"]["open"]])}, ["n1"], quorum)

    assert said["open"] == 1
    assert not any(".." in line for line in said["lines"])


def test_strangers_and_drained_machines_are_noted_and_are_nobodys_work() -> None:
    state = server(leader=True) | {"members": {"n9": "failed", "n1": "ready, draining", "n8": "left"}}
    said = words.heal_report({"n1": told(nomad=state)}, ["n1"], {})

    assert said["open"] == 0
    notes = [line for line in said["lines"] if line.startswith("Note:")]
    assert len(notes) == 2
    assert "n9 (failed)" in notes[0]
    assert "eligibility -enable n1" in notes[1]


def test_job_files_are_looked_at_for_their_namespace_and_those_that_run_once_are_left(tmp_path: Path) -> None:
    (tmp_path / "web.nomad").write_text(
        'job "web" {\n  type        = "service"\n  group "g" {\n    type = "batch"\n  }\n}\n'
    )
    (tmp_path / "story.nomad").write_text('job "story" {\n  namespace   = "creative"\n}\n')
    (tmp_path / "benchmark.nomad").write_text('job "bench" {\n  type = "sysbatch"\n}\n')
    found = look.job_files(tmp_path)
    assert {name: namespace for name, (_, namespace) in found.items()} == {"web": "default", "story": "creative"}
