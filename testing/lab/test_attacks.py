"""What an attacker gets from a machine in the house's network that is no member, and from a hostile owner's worker.

n4 is the worker, ``stranger`` the other one; docs/SECURITY.md says in words what a hostile member can do in the end.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testing.lab import nats_probe
from testing.lab.attacking import EVIL, attack, bring, consul_agent, nomad_agent
from testing.lab.house import SERVERS, House, needs_nomad
from testing.lab.knocking import knock, listen
from testing.lab.lab import Lab
from testing.lab.loot import on_disk, tell, tokens
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600), needs_nomad]

FOUR = {"controller_nodes": SERVERS, "worker_nodes": ["n4"]}
TAGS = ("--tags", "common,cluster,firewall,consul,nats,nomad", "--extra-vars", '{"nomad_host_volumes": {}}')
# Gossip and remote calls, which have keys and certificates of their own; ssh; the page, which has a login.
FOR_THE_HOUSE = {22, 8300, 8301, 4647, 4648, 8000}
PORTS = [22, 4222, 4646, 4647, 4648, 6222, 8000, 8222, 8300, 8301, 8302, 8500, 8501, 20001]
CA = "/etc/nomad.d/tls/ca.pem"
JOB = """
job "NAME" {
  group "g" {
    constraint {
      attribute = "${node.unique.name}"
      value     = "NODE"
    }

    network {
      port "http" {}
    }

    service {
      name     = "NAME"
      port     = "http"
      provider = "consul"

      check {
        type     = "tcp"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "py" {
      driver = "raw_exec"
      user   = "nobody"

      config {
        command = "/usr/bin/python3"
        args    = ["-m", "http.server", "--directory", "/srv", "${NOMAD_PORT_http}"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def house(lab: Lab) -> House:
    """Three controllers and a worker; a job on either; a key in Consul, and one in Nomad that belongs to a job."""
    lab.add(*SERVERS, "n4", "stranger")
    lab.play("playbook.yaml", FOUR, *TAGS, limit_s=3000).succeeded()
    made = House(lab)
    for program in made.programs:
        wait_until(f"{program} whole", lambda program=program: made.whole(program), 300)
    listen(lab, "n1", [8000, 20001])
    lab.run("n1", "/usr/local/bin/consul", "kv", "put", "house/secret", "of the house")
    lab.run("n1", "/usr/local/bin/nomad", "var", "put", "nomad/jobs/web", "key=of the job")
    for name, node in (("web", "n1"), ("pages", "n4")):
        lab.run("n1", "sh", "-c", "cat >/root/job.nomad", text=JOB.replace("NAME", name).replace("NODE", node))
        done = lab.run("n1", "/usr/local/bin/nomad", "job", "run", "-detach", "/root/job.nomad")
        assert done.code == 0, done.output
    for name in ("web", "pages"):
        wait_until(name, lambda name=name: bool(made.ask("consul", "n1", f"/v1/health/service/{name}?passing")), 180)
    return made


@pytest.fixture(scope="module")
def loot(house: House) -> dict[str, str]:
    """The worker's tokens, by what they are for."""
    return tokens(house.lab, "n4")


def node_id(house: House, name: str) -> str:
    (found,) = (one["ID"] for one in house.ask("nomad", "n1", "/v1/nodes") if one["Name"] == name)
    return str(found)


def untouched(house: House) -> bool:
    """Whether the cluster is the one that was made: three voters, four members, two jobs that run."""
    members = {one["Name"] for one in house.ask("consul", "n1", "/v1/agent/members") if one["Status"] == 1}
    nodes = {one["Name"] for one in house.ask("nomad", "n1", "/v1/nodes") if one["Status"] == "ready"}
    return house.whole("consul") and house.whole("nomad") and members == nodes == {*SERVERS, "n4"}


# A machine that is no member --------------------------------------------------------------------------------------


def test_a_stranger_reaches_what_has_a_guard_of_its_own_and_nothing_else(lab: Lab, house: House) -> None:
    seen = knock(functools.partial(lab.run, "stranger"), lab["n1"].address, PORTS)
    assert {port for port, answer in seen.items() if answer == "open"} == FOR_THE_HOUSE
    member = knock(functools.partial(lab.run, "n4"), lab["n1"].address, PORTS)
    assert {port for port, answer in member.items() if answer == "open"} == FOR_THE_HOUSE | {4222, 4646, 6222, 20001}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "Remote state is encrypted"),
        ({"encrypt": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}, "No installed keys"),
    ],
    ids=["none", "another"],
)
def test_consuls_gossip_lets_nobody_in_without_its_key(lab: Lab, house: House, more: dict[str, str], why: str) -> None:
    bring(lab, "stranger", "consul")
    attack(lab, "stranger", f"gossip{len(more)}", "consul", consul_agent(lab, "stranger", **more), why)
    assert untouched(house)


def test_nomad_takes_no_client_with_a_certificate_of_its_own_making(lab: Lab, house: House) -> None:
    bring(lab, "stranger", "nomad")
    steps = (
        f"mkdir -p {EVIL}/tls", f"cd {EVIL}/tls", "../nomad tls ca create",
        "../nomad tls cert create -client -region global",
        "mv global-client-nomad.pem nomad.pem", "mv global-client-nomad-key.pem nomad.key",
    )  # fmt: skip
    made = lab.run("stranger", "sh", "-c", " && ".join(steps))
    assert made.code == 0, made.output
    # The cluster's authority is no secret: it knows whom it speaks with.
    (lab["stranger"].root / EVIL.lstrip("/") / "tls/ca.pem").write_text(lab.run("n1", "cat", CA).output)
    client = {"client": {"enabled": True, "servers": [lab["n1"].address]}}
    attack(lab, "stranger", "own", "nomad", nomad_agent(lab, "stranger", client, f"{EVIL}/tls"), "remote error: tls")
    assert untouched(house)


def test_nomad_takes_no_client_without_an_introduction_even_with_a_members_certificate(lab: Lab, house: House) -> None:
    bring(lab, "stranger", "nomad")
    stolen = lab["stranger"].root / EVIL.lstrip("/") / "stolen"
    stolen.mkdir(exist_ok=True)
    for name in ("ca.pem", "nomad.pem", "nomad.key"):
        (stolen / name).write_text(lab.run("n4", "cat", f"/etc/nomad.d/tls/{name}").output)
    client = {"client": {"enabled": True, "servers": [lab["n1"].address]}}
    attack(
        lab, "stranger", "stolen", "nomad", nomad_agent(lab, "stranger", client, f"{EVIL}/stolen"), "Permission denied"
    )
    assert untouched(house)


# A worker whose owner is hostile ------------------------------------------------------------------------------------

# What one token of the worker or another may do in Consul; nothing else of what is tried below.
MAY_IN_CONSUL = {
    ("agent", "mark itself"), ("nomad", "another service"),
    ("nomad", "catalogue"), *((name, "members") for name in ("agent", "recovery", "nomad", "firewall")),
}  # fmt: skip


def consul_attempts(house: House) -> dict[str, tuple[str, str, Any]]:
    lab = house.lab
    agent = {"Service": "pipecat-app", "ID": "evil", "Port": 8000}
    first = {"Node": "n1", "Address": lab["n1"].address}
    service = "consul/v1/agent/service/register"
    catalogue = "consul/v1/catalog/register"
    return {
        "the house's key": ("GET", "consul/v1/kv/house/secret", None),
        "write a key": ("PUT", "consul/v1/kv/experts/main", "x"),
        "tokens": ("GET", "consul/v1/acl/tokens", None),
        "a token": ("PUT", "consul/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
        "the raft": ("GET", "consul/v1/operator/raft/configuration", None),
        "all there is": ("GET", "consul/v1/snapshot", None),
        "remove a voter": ("DELETE", f"consul/v1/operator/raft/peer?address={lab['n2'].address}:8300", None),
        "have a machine leave": ("PUT", "consul/v1/agent/force-leave/n2", None),
        "remove a machine": ("PUT", "consul/v1/catalog/deregister", {"Node": "n2"}),
        "move a machine": ("PUT", catalogue, {"Node": "n1", "Address": "192.0.2.1"}),
        "a new machine": ("PUT", catalogue, {"Node": "evil", "Address": "192.0.2.1"}),
        "mark itself": ("PUT", catalogue, {"Node": "n4", "Address": lab["n4"].address, "NodeMeta": {}}),
        "be the agent": ("PUT", service, {"Name": "pipecat-app", "Port": 8000}),
        "be the agent on n1": ("PUT", catalogue, {**first, "SkipNodeUpdate": True, "Service": agent}),
        "be Nomad": ("PUT", service, {"Name": "nomad", "Port": 4646}),
        "another service": ("PUT", service, {"Name": "prima-api-main", "ID": "evil", "Port": 8080}),
        "an event": ("PUT", "consul/v1/event/fire/deploy", None),
        "a session": ("PUT", "consul/v1/session/create", {"Node": "n1"}),
        "a query": ("POST", "consul/v1/query", {"Name": "q", "Service": {"Service": "web"}}),
        "catalogue": ("GET", "consul/v1/catalog/service/web", None),
        "members": ("GET", "consul/v1/agent/members", None),
    }


def done(house: House, loot: dict[str, str], attempts: Mapping[str, tuple[str, str, Any]]) -> set[tuple[str, str]]:
    """Which token, or none, did or learnt what on the worker."""
    did = set()
    for attempt, (method, path, body) in attempts.items():
        for name, token in {**loot, "nothing": ""}.items():
            answer = tell(house.lab, "n4", token, method, path, named(body, name))
            if not answer.refused:
                print(f"{name}: {attempt}: {answer.status} {answer.body[:80]!r}")
                did.add((name, attempt))
    return did


def named(body: Any, name: str) -> Any:
    """A body that is another one for each token: what is so already anybody may say again."""
    return {**body, "NodeMeta": {"by": name}} if isinstance(body, dict) and "NodeMeta" in body else body


def test_a_workers_tokens_do_what_its_programs_need_in_consul(house: House, loot: dict[str, str]) -> None:
    may = done(house, loot, consul_attempts(house))
    tell(house.lab, "n4", loot["nomad"], "PUT", "consul/v1/agent/service/deregister/evil")
    assert may == MAY_IN_CONSUL
    assert untouched(house)


# A client's secret tells of the machines, and of jobs what one must know an allocation's unlisted ID for.
MAY_IN_NOMAD = {("secret", attempt) for attempt in ("nodes", "a node", "members", "an allocation")}


def nomad_attempts(house: House) -> dict[str, tuple[str, str, Any]]:
    first = node_id(house, "n1")
    (web,) = (one["ID"] for one in house.ask("nomad", "n1", "/v1/job/web/allocations"))
    job = house.ask("nomad", "n1", "/v1/job/web")
    return {
        "jobs": ("GET", "nomad/v1/jobs", None),
        "a job": ("GET", "nomad/v1/job/web", None),
        "its allocations": ("GET", "nomad/v1/job/web/allocations", None),
        "an allocation": ("GET", f"nomad/v1/allocation/{web}", None),
        "its files": ("GET", f"nomad/v1/client/fs/ls/{web}?path=/", None),
        "its log": ("GET", f"nomad/v1/client/fs/logs/{web}?task=py&type=stderr", None),
        "a job's key": ("GET", "nomad/v1/var/nomad/jobs/web", None),
        "keys": ("GET", "nomad/v1/vars", None),
        "write a key": ("PUT", "nomad/v1/var/nomad/jobs/web", {"Path": "nomad/jobs/web", "Items": {"key": "x"}}),
        "nodes": ("GET", "nomad/v1/nodes", None),
        "a node": ("GET", f"nomad/v1/node/{first}", None),
        "tokens": ("GET", "nomad/v1/acl/tokens", None),
        "policies": ("GET", "nomad/v1/acl/policies", None),
        "an introduction": ("POST", "nomad/v1/acl/identity/client-introduction-token", {"NodeName": "evil"}),
        "the raft": ("GET", "nomad/v1/operator/raft/configuration", None),
        "all there is": ("GET", "nomad/v1/operator/snapshot", None),
        "submit a job": ("PUT", "nomad/v1/jobs", {"Job": {**job, "ID": "evil", "Name": "evil"}}),
        "change a job": ("PUT", "nomad/v1/jobs", {"Job": {**job, "Priority": 99}}),
        "scale a job": ("PUT", "nomad/v1/job/web/scale", {"Count": 0, "Target": {"Group": "g"}}),
        "stop a job": ("DELETE", "nomad/v1/job/web", None),
        "stop an allocation": ("PUT", f"nomad/v1/allocation/{web}/stop", None),
        "drain a node": ("PUT", f"nomad/v1/node/{first}/drain", {"DrainSpec": {"Deadline": 1}}),
        "close a node": ("PUT", f"nomad/v1/node/{first}/eligibility", {"Eligibility": "ineligible"}),
        "forget a node": ("PUT", f"nomad/v1/node/{first}/purge", None),
        "collect": ("PUT", "nomad/v1/system/gc", None),
        "turn the keys": ("PUT", "nomad/v1/operator/keyring/rotate", None),
        "the agent": ("GET", "nomad/v1/agent/self", None),
        "members": ("GET", "nomad/v1/agent/members", None),
    }


def test_a_workers_own_secret_sees_the_machines_at_nomads_interface_and_does_nothing(
    house: House, loot: dict[str, str]
) -> None:
    assert done(house, loot, nomad_attempts(house)) == MAY_IN_NOMAD
    assert untouched(house)
    assert house.ask("nomad", "n1", "/v1/var/nomad/jobs/web")["Items"] == {"key": "of the job"}


def test_the_vaults_secrets_on_a_worker_are_those_it_needs(house: House) -> None:
    assert on_disk(house.lab, "n4", house.vault) == {
        "consul.gossip_key", "consul.nomad_client_token", "consul.firewall_token", "consul.agent_tokens.n4",
    }  # fmt: skip
    vault = house.lab.path / "vault"
    keys = {path: path.read_text() for path in vault.rglob("*.pem") if "PRIVATE KEY" in path.read_text()}
    keys |= {path: path.read_text() for path in vault.rglob("*.key")}
    assert vault / "ca-key.pem" in keys
    lines = {text.splitlines()[1]: path.relative_to(vault) for path, text in keys.items()}
    named = {line: str(path) for line, path in lines.items()}
    found = on_disk(house.lab, "n4", {name: line for line, name in named.items()})
    assert found == {"nodes/n4/consul.key", "nodes/n4/nomad.key"}


CLIENT_ID = "opt/nomad/data/client/client-id"


def pose(house: House, name: str, identity: str) -> None:
    """Restart the worker's Nomad as another machine."""
    node = house.lab["n4"].root
    (node / CLIENT_ID).write_text(identity)
    done = house.lab.run("n4", "sed", "-i", f's/^name *=.*/name = "{name}"/', "/etc/nomad.d/nomad.hcl")
    assert done.code == 0, done.output
    house.lab.run("n4", "systemctl", "restart", "nomad")


def test_a_worker_that_takes_another_machines_name_does_not_get_what_is_meant_for_that(lab: Lab, house: House) -> None:
    own, first = node_id(house, "n4"), node_id(house, "n1")
    job = JOB.replace("NAME", "treasure").replace("${node.unique.name}", "${node.unique.id}").replace("NODE", first)

    def nodes() -> dict[str, tuple[str, str]]:
        return {one["ID"]: (one["Name"], one["Status"]) for one in house.ask("nomad", "n1", "/v1/nodes") or ()}

    def placed() -> list[dict[str, Any]]:
        return house.ask("nomad", "n1", "/v1/job/treasure/allocations") or []

    pose(house, "n1", own)
    try:
        wait_until("two of a name", lambda: nodes().get(own) == ("n1", "ready"), 120)
        closed = house.ask("nomad", "n1", f"/v1/node/{first}/eligibility", {"Eligibility": "ineligible"})
        assert closed is not None
        lab.run("n1", "sh", "-c", "cat >/root/job.nomad", text=job)
        lab.run("n1", "/usr/local/bin/nomad", "job", "run", "-detach", "/root/job.nomad")
        wait_until("nowhere to go", lambda: "blocked" in {
            one["Status"] for one in house.ask("nomad", "n1", "/v1/job/treasure/evaluations") or ()
        }, 60)  # fmt: skip
        assert placed() == []

        # Its ID is no secret, but what goes with it is.
        pose(house, "n1", first)
        wait_until("lost", lambda: nodes().get(own, ("", "down"))[1] == "down", 120)
        refused = ("journalctl", "--no-pager", "--output=cat", "--unit=nomad", "--since=-2min")
        wait_until("refused", lambda: "node secret ID does not match" in lab.run("n4", *refused).output, 120)
        house.ask("nomad", "n1", f"/v1/node/{first}/eligibility", {"Eligibility": "eligible"})
        wait_until("placed", lambda: [one["NodeName"] for one in placed()] == ["n1"], 60)
        assert [one["NodeID"] for one in placed()] == [first]
    finally:
        house.ask("nomad", "n1", f"/v1/node/{first}/eligibility", {"Eligibility": "eligible"})
        lab.run("n1", "/usr/local/bin/nomad", "job", "stop", "-purge", "treasure")
        pose(house, "n4", own)
    wait_until("what it was", lambda: nodes().get(own) == ("n4", "ready"), 180)


def test_a_worker_is_no_server_of_nomad(lab: Lab, house: House) -> None:
    bring(lab, "n4", "nomad")
    join = {"retry_join": [f"{lab['n1'].address}:4648"], "retry_interval": "1s"}
    poser = nomad_agent(lab, "n4", {"server": {"enabled": True, "server_join": join}}, "/etc/nomad.d/tls")
    attack(lab, "n4", "server", "nomad", poser, "remote state is encrypted")
    assert untouched(house)


def test_a_worker_that_poses_as_a_server_of_consul_gets_neither_a_vote_nor_the_data(lab: Lab, house: House) -> None:
    bring(lab, "n4", "consul")
    key = lab.run("n4", "sed", "-n", 's/^encrypt = "\\(.*\\)"/\\1/p', "/etc/consul.d/gossip.hcl").output.strip()
    tls = {name: f"/etc/consul.d/tls/{file}" for name, file in
           (("ca_file", "ca.pem"), ("cert_file", "consul.pem"), ("key_file", "consul.key"))}  # fmt: skip
    # Its own rules: whoever asks it may read all that it has.
    poser = {**consul_agent(lab, "n4"), "server": True, "encrypt": key, "verify_outgoing": True,
             "acl": {"enabled": False}, "verify_incoming": True, **tls}  # fmt: skip
    attack(lab, "n4", "poser", "consul", poser, "remote error: tls: bad certificate")
    assert house.whole("consul")


def test_nats_wants_a_password_beside_a_members_certificate(lab: Lab, house: House) -> None:
    (lab["n4"].root / "opt/nats_probe.py").write_text(Path(nats_probe.__file__).read_text())
    probe = ["/usr/bin/python3", "/opt/nats_probe.py", "guessed", lab["n1"].address]
    member = lab.run("n4", *probe, "hello", "/etc/nomad.d/tls/nomad.pem", "/etc/nomad.d/tls/nomad.key")
    assert "Authorization Violation" in member.output
    without = lab.run("n4", *probe, "hello-without-certificate", "/etc/nomad.d/tls/nomad.pem")
    assert without.code != 0
    assert "Authorization" not in without.output
