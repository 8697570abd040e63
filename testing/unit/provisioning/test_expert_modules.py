"""The modules behind `deploy_expert.yaml`: an expert's namespace, its record in the vault, its state in Consul."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from testing.ansible_plugins import load
from testing.fakes.nomad_api import ScriptedNomad

pytestmark = pytest.mark.unit

namespaces = load("modules/nomad_namespace")
records = load("modules/expert_record")
states = load("modules/expert_state")
NomadError = __import__("ansible.module_utils.nomad_http", fromlist=["NomadError"]).NomadError
VaultError = __import__("ansible.module_utils.private_folder", fromlist=["VaultError"]).VaultError

FOUND, DELETE, JOBS = "GET /v1/namespace/creative", "DELETE /v1/namespace/creative", "GET /v1/jobs?namespace=creative"
STOPPED = {"ID": "old", "Status": "dead", "Stop": True, "Type": "service"}
OVER = {"ID": "bench", "Status": "dead", "Stop": False, "Type": "batch"}
OURS = {"Name": "creative", "Description": namespaces.MARK}


# The namespace --------------------------------------------------------------------------------------------------------


def test_a_missing_namespace_is_made_and_one_that_is_there_is_left() -> None:
    nomad = ScriptedNomad({FOUND: [None], "POST /v1/namespace": [{}]})
    assert namespaces.make(nomad, "creative", dry=False) is True
    assert ("POST /v1/namespace", {"Name": "creative", "Description": namespaces.MARK}) in nomad.asked
    assert namespaces.make(ScriptedNomad({FOUND: [OURS]}), "creative", dry=False) is False


def test_a_dry_run_makes_no_namespace() -> None:
    assert namespaces.make(ScriptedNomad({FOUND: [None]}), "creative", dry=True) is True


def test_an_empty_namespace_that_was_made_for_an_expert_goes_with_it() -> None:
    nomad = ScriptedNomad({FOUND: [OURS], JOBS: [[STOPPED, OVER]], DELETE: [{}]})
    assert namespaces.remove(nomad, "creative", 0, dry=False) == (True, "")


@pytest.mark.parametrize(
    ("there", "jobs", "why"),
    [
        ({**OURS, "Description": "a person's"}, [], "it was there before"),
        (OURS, [STOPPED | {"Stop": False, "Status": "running"}], "it has the jobs old"),
        (OURS, [STOPPED | {"Stop": False}], "it has the jobs old"),  # it sleeps
        (None, [], ""),
    ],
)
def test_other_namespaces_stay(there: Any, jobs: list[Any], why: str) -> None:
    assert namespaces.remove(ScriptedNomad({FOUND: [there], JOBS: [jobs]}), "creative", 0, dry=False) == (False, why)


def test_the_namespace_that_all_have_is_neither_made_nor_removed() -> None:
    assert namespaces.make(ScriptedNomad({}), "default", dry=False) is False
    assert namespaces.remove(ScriptedNomad({}), "default", 0, dry=False) == (False, "")


def test_another_refusal_is_passed_on() -> None:
    nomad = ScriptedNomad({FOUND: [OURS], JOBS: [[]], DELETE: [NomadError("Permission denied", 403)]})
    with pytest.raises(NomadError, match="Permission denied"):
        namespaces.remove(nomad, "creative", 0, dry=False)


# The record -----------------------------------------------------------------------------------------------------------


def record(vault: Path, job: str, service: str = "prima-api-a", *, dry: bool = False, **more: Any) -> dict[str, Any]:
    given = {
        "path": str(vault), "job": job, "service": service, "namespace": "default", "state": "present",
        "first_port": 8200, "last_port": 8219, "block": 10,
    }  # fmt: skip
    found: dict[str, Any] = records.keep_record(given | more, dry=dry)
    return found


def test_key_and_ports_are_made_once(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    first = record(vault, "one")
    assert (first["changed"], first["known"], first["port"]) == (True, False, 8200)
    assert len(first["key"]) >= 40
    again = record(vault, "one")
    assert (again["changed"], again["known"]) == (False, True)
    assert (again["key"], again["port"]) == (first["key"], 8200)


def test_only_its_owner_reads_the_record(tmp_path: Path) -> None:
    record(tmp_path / "vault", "one")
    assert stat.S_IMODE((tmp_path / "vault/experts.yaml").stat().st_mode) == 0o600


def test_each_job_has_ports_of_its_own_and_each_service_a_key(tmp_path: Path) -> None:
    first, second = record(tmp_path, "one"), record(tmp_path, "two", "prima-api-b")
    assert (first["port"], second["port"]) == (8200, 8210)
    assert first["key"] != second["key"]
    with pytest.raises(VaultError, match="all 2 blocks of ports from 8200 are taken"):
        record(tmp_path, "three")


def test_a_second_job_of_a_service_takes_its_key_which_stays_until_the_last_goes(tmp_path: Path) -> None:
    first, second = record(tmp_path, "one"), record(tmp_path, "two")
    assert (first["shared"], second["shared"]) == (False, True)
    assert second["key"] == first["key"]
    gone = record(tmp_path, "one", state="absent")
    assert (gone["shared"], gone["key"]) == (True, first["key"])
    assert record(tmp_path, "two", state="absent")["shared"] is False
    assert record(tmp_path, "one")["key"] != first["key"]


def test_what_is_forgotten_leaves_its_ports_and_says_what_it_was(tmp_path: Path) -> None:
    record(tmp_path, "one", namespace="creative")
    gone = record(tmp_path, "one", "", state="absent")
    assert gone["before"] == {"service": "prima-api-a", "namespace": "creative", "port": 8200}
    assert record(tmp_path, "two", "prima-api-b")["port"] == 8200
    assert record(tmp_path, "never", state="absent")["changed"] is False


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert record(tmp_path / "vault", "one", dry=True)["changed"] is True
    assert not (tmp_path / "vault").exists()


# The state ------------------------------------------------------------------------------------------------------------


class ScriptedConsul:
    """Stands in for ``consul_http.Consul``: an answer for each request."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def ask(self, method: str, path: str, *_: Any, **__: Any) -> Any:
        self.asked.append(f"{method} {path}")
        return self._answers.get(f"{method} {path}")


def entry(node: str, port: int) -> dict[str, Any]:
    return {"Node": {"Node": node, "Address": "10.0.0.1"}, "Service": {"Address": "", "Port": port}}


GIVEN = {"job": "web", "service": "prima-api-web", "key": "k", "shared": False, "timeout": 0}
PASSING, RANKS = "GET health/service/prima-api-web?passing", "GET health/service/web-rank"


def asked_state(url: str, key: str) -> dict[str, Any]:
    assert key == "k"
    if "8201" in url:
        raise OSError("Connection refused")
    return {"rank": 0, "phase": "loading", "model": "big", "why": "62 % of 4.7 GB"}


def test_an_expert_that_answers_is_found_with_its_ranks() -> None:
    consul = ScriptedConsul({PASSING: [entry("n1", 8200)], RANKS: [entry("n1", 9)]})
    address, ranks, missing = states.await_words(consul, GIVEN, asked_state)
    assert (address, missing) == ("10.0.0.1:8200", "")
    assert ranks == ["rank 0 on n1 is loading, big: 62 % of 4.7 GB"]


def test_what_keeps_it_is_what_its_ranks_say() -> None:
    consul = ScriptedConsul({RANKS: [entry("n1", 9), entry("n2", 8201)]})
    missing = states.await_words(consul, GIVEN, asked_state)[2]
    assert missing == "n2 does not tell (Connection refused); rank 0 on n1 is loading, big: 62 % of 4.7 GB"


def test_without_a_rank_that_is_said() -> None:
    assert "no rank of it is in Consul" in states.await_words(ScriptedConsul({}), GIVEN, asked_state)[2]


def test_what_it_left_in_consul_goes() -> None:
    consul = ScriptedConsul({"GET kv/experts/web/?keys": ["experts/web/active_model"]})
    assert states.clear(consul, GIVEN, dry=False) == (True, "")
    assert "DELETE kv/experts/web/?recurse" in consul.asked
    assert states.clear(ScriptedConsul({}), GIVEN, dry=False) == (False, "")


def test_a_service_that_another_job_has_too_is_not_waited_for() -> None:
    other = ScriptedConsul({"GET catalog/service/prima-api-web": [entry("n3", 8210)]})
    assert states.clear(other, {**GIVEN, "shared": True}, dry=False)[1] == ""
    assert states.clear(other, GIVEN, dry=False)[1] == "Consul still has prima-api-web"
