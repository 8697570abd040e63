"""What the Ansible modules for Nomad ask of it, and what they conclude: restarts, access rules, introductions."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from testing.ansible_plugins import load
from testing.fakes.nomad_api import ScriptedNomad

pytestmark = pytest.mark.unit

restart = load("modules/nomad_restart")
acl = load("modules/nomad_acl")
introduction = load("modules/nomad_introduction")
keyring = load("modules/nomad_keyring")
moved = load("modules/nomad_moved")
NomadError = __import__("ansible.module_utils.nomad_http", fromlist=["NomadError"]).NomadError

NAMES = ["n1", "n2", "n3"]
HEALTH = "GET /v1/operator/autopilot/health"
LEADERLESS = NomadError("500: No cluster leader", 500)


def health(leader: str = "n1", sick: tuple[str, ...] = ()) -> dict[str, Any]:
    servers = [
        {"ID": f"id-{name}", "Name": f"{name}.global", "Voter": True, "Healthy": name not in sick,
         "Leader": name == leader}
        for name in ("n1", "n2", "n3")
    ]  # fmt: skip
    return {"Healthy": not sick, "Servers": servers}


# A restart ------------------------------------------------------------------------------------------------------------


def test_a_server_stays_while_another_voter_is_sick() -> None:
    assert restart.may_go(ScriptedNomad({HEALTH: [health(sick=("n2",))]}), "n1", NAMES) == "not healthy: n2"


def test_a_server_that_nomad_has_forgotten_still_counts_as_missing() -> None:
    """A new program that does not start takes one server away; minutes later Nomad no longer lists it."""
    left = health()
    left["Servers"] = left["Servers"][1:]
    left["Servers"][0]["Leader"] = True
    assert restart.may_go(ScriptedNomad({HEALTH: [left]}), "n2", NAMES) == "not healthy: n1"


def test_a_sick_server_itself_may_go() -> None:
    assert restart.may_go(ScriptedNomad({HEALTH: [health(sick=("n1",))]}), "n1", NAMES) == ""


def test_without_a_leader_nothing_is_lost_by_a_restart() -> None:
    assert restart.may_go(ScriptedNomad({HEALTH: [LEADERLESS]}), "n1", NAMES) == ""


def test_a_refused_token_is_no_reason_to_go() -> None:
    with pytest.raises(NomadError, match="Permission denied"):
        restart.may_go(ScriptedNomad({HEALTH: [NomadError("Permission denied", 403)]}), "n1", NAMES)


def test_the_leader_hands_over_before_it_goes() -> None:
    transfer = "PUT /v1/operator/raft/transfer-leadership?id=id-n3"
    nomad = ScriptedNomad({HEALTH: [health("n1", sick=("n2",)), health("n3")], transfer: [{}]})
    restart.step_down(nomad, "n1")
    assert nomad.written() == [transfer]


def test_a_follower_hands_nothing_over() -> None:
    nomad = ScriptedNomad({HEALTH: [health("n2")]})
    restart.step_down(nomad, "n1")
    assert nomad.written() == []


def test_a_server_is_back_when_all_voters_are_healthy() -> None:
    agent = {"server": {"ok": True, "message": "ok"}, "client": {"ok": True, "message": "ok"}}
    answers = {"GET /v1/agent/health": [agent], HEALTH: [health(sick=("n1",)), health()]}
    nomad = ScriptedNomad(answers)
    assert restart.is_back(nomad, NAMES) == "not all servers are healthy"
    assert restart.is_back(nomad, NAMES) == ""


def test_a_client_without_servers_is_not_back() -> None:
    agent = {"client": {"ok": False, "message": "no known servers"}}
    assert restart.is_back(ScriptedNomad({"GET /v1/agent/health": [agent]}), []) == "its client says: no known servers"


# Access rules ---------------------------------------------------------------------------------------------------------

SELF, BOOTSTRAP = "GET /v1/acl/token/self", "POST /v1/acl/bootstrap"
POLICY, TOKENS = "/v1/acl/policy/app", "GET /v1/acl/tokens"


def access(nomad: ScriptedNomad, *, dry: bool = False) -> Any:
    return acl.Access(nomad, "first-secret", dry=dry, limit=0)


def test_the_first_token_is_the_vaults() -> None:
    nomad = ScriptedNomad({SELF: [NomadError("ACL token not found", 403)], BOOTSTRAP: [{}]})
    rules = access(nomad)
    rules.bootstrap()
    assert nomad.asked[-1] == (BOOTSTRAP, {"BootstrapSecret": "first-secret"})
    assert rules.changes == ["made the management token"]


def test_a_second_run_bootstraps_nothing() -> None:
    nomad = ScriptedNomad({SELF: [{"Type": "management"}]})
    rules = access(nomad)
    rules.bootstrap()
    assert (rules.changes, nomad.written()) == ([], [])


def test_another_first_token_is_an_error() -> None:
    refused = NomadError("ACL bootstrap already done (reset index: 7)", 400)
    nomad = ScriptedNomad({SELF: [NomadError("ACL token not found", 403)], BOOTSTRAP: [refused]})
    with pytest.raises(NomadError, match="already done"):
        access(nomad).bootstrap()


def test_a_policy_is_written_where_it_differs() -> None:
    nomad = ScriptedNomad({f"GET {POLICY}": [{"Rules": "old"}, {"Rules": "new"}], f"POST {POLICY}": [None]})
    rules = access(nomad)
    rules.policy("app", "new")
    rules.policy("app", "new")
    assert (rules.changes, nomad.written()) == (["wrote the policy app"], [f"POST {POLICY}"])


def test_a_new_secret_replaces_the_token_new_before_old() -> None:
    new = acl.accessor_of("new-secret")
    made, removed = f"POST /v1/acl/token/{new}", "DELETE /v1/acl/token/old"
    listed = [
        {"Name": "app", "AccessorID": "old"},
        {"Name": "app", "AccessorID": new},
        {"Name": "b", "AccessorID": "x"},
    ]
    nomad = ScriptedNomad(
        {f"GET /v1/acl/token/{new}": [None], made: [{}], TOKENS: [listed], removed: [None]}
    )  # fmt: skip
    rules = access(nomad)
    rules.client_token("app", "new-secret", ["app"])
    assert nomad.written() == [made, removed]
    assert rules.changes == ["made the token app", "removed an older token app"]


def test_the_public_name_of_a_token_tells_nothing_about_it() -> None:
    secret = "0f6a2c4e-1111-4a4a-8b8b-222233334444"
    assert secret not in acl.accessor_of(secret)
    assert acl.accessor_of(secret) == acl.accessor_of(secret) != acl.accessor_of(secret + "x")


def test_a_dry_run_before_there_is_a_cluster_tells_what_it_would_make() -> None:
    silent = NomadError("does not answer", 0)
    token = acl.accessor_of("s")
    nomad = ScriptedNomad(
        {SELF: [silent], f"GET {POLICY}": [silent], f"GET /v1/acl/token/{token}": [silent], TOKENS: [silent]}
    )
    rules = access(nomad, dry=True)
    rules.bootstrap()
    rules.policy("app", "new")
    rules.client_token("app", "s", ["app"])
    assert rules.changes == ["made the management token", "wrote the policy app", "made the token app"]
    assert nomad.written() == []


# The gossip key ------------------------------------------------------------------------------------------------------

KEYS = "GET /v1/agent/keyring/list"
INSTALL, USE, REMOVE = (f"PUT /v1/agent/keyring/{step}" for step in ("install", "use", "remove"))


def test_a_new_key_is_known_to_all_before_it_is_used_and_the_old_one_goes_last() -> None:
    nomad = ScriptedNomad({KEYS: [{"Keys": {"old": 3}}], INSTALL: [{}], USE: [{}], REMOVE: [{}]})
    assert keyring.turn(nomad, "new")
    assert [entry for entry in nomad.asked if entry[0] != KEYS] == [
        (INSTALL, {"Key": "new"}), (USE, {"Key": "new"}), (REMOVE, {"Key": "old"}),
    ]  # fmt: skip


def test_the_key_that_is_alone_stays() -> None:
    nomad = ScriptedNomad({KEYS: [{"Keys": {"one": 3}}]})
    assert not keyring.turn(nomad, "one")
    assert nomad.written() == []


# Introductions --------------------------------------------------------------------------------------------------------

ASK = "POST /v1/acl/identity/client-introduction-token"


def test_a_client_that_the_servers_know_needs_no_introduction(tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "client/client-id").write_text("an-id\n")
    assert introduction.known(ScriptedNomad({"GET /v1/node/an-id": [{"ID": "an-id"}]}), tmp_path)
    assert not introduction.known(ScriptedNomad({"GET /v1/node/an-id": [None]}), tmp_path)


def test_a_new_machine_needs_one(tmp_path: Path) -> None:
    assert not introduction.known(ScriptedNomad({}), tmp_path)


def test_an_introduction_is_for_one_name_and_for_root_alone(tmp_path: Path) -> None:
    nomad = ScriptedNomad({ASK: [{"JWT": "signed"}]})
    introduction.introduce(nomad, "n4", tmp_path, 15)
    file = tmp_path / "client/intro_token.jwt"
    assert nomad.asked == [(ASK, {"NodeName": "n4", "NodePool": "default", "TTL": 900_000_000_000})]
    assert file.read_text() == "signed"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# Machines with new addresses -----------------------------------------------------------------------------------------


def instance(name: str, machine: str, *addresses: str, status: str = "running", wanted: str = "run") -> dict[str, Any]:
    networks = [{"IP": address} for address in addresses]
    return {
        "ID": name, "JobID": name, "NodeID": machine, "ClientStatus": status, "DesiredStatus": wanted,
        "AllocatedResources": {"Shared": {"Networks": networks or None}},
    }  # fmt: skip


def test_what_runs_under_an_address_that_its_machine_lost_is_placed_anew() -> None:
    running = [
        instance("stays", "m1", "10.0.0.1"),
        instance("other card", "m1", "fd00::1"),
        instance("left behind", "m2", "10.0.0.2"),
        instance("no port", "m2"),
        instance("over", "m2", "10.0.0.2", status="complete", wanted="stop"),
        {**instance("bare", "m2"), "AllocatedResources": None},
    ]
    machines = {
        "m1": {"Networks": [{"IP": "10.0.0.1"}], "NodeNetworks": [{"Addresses": [{"Address": "fd00::1"}]}]},
        "m2": {"Networks": [{"IP": "10.0.0.102"}], "NodeNetworks": None},
    }
    asked: dict[str, list[Any]] = {"GET /v1/allocations?resources=true&namespace=*": [running]}
    asked |= {f"GET /v1/node/{name}": [{"NodeResources": found}] for name, found in machines.items()}

    assert [found["ID"] for found in moved.left_behind(ScriptedNomad(asked))] == ["left behind"]
