"""Nomad on three machines, told in order: founding, jobs, who is refused, what a lost machine costs, an upgrade."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing import nomad
from testing.lab.consul_api import ConsulApi
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.sampler import Sampler

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(nomad.why_missing()), reason=nomad.why_missing() or "-")]

SERVERS = ["n1", "n2", "n3"]
THREE = {"controller_nodes": SERVERS, "worker_nodes": []}
PROGRAMS = ("consul", "nomad", "nats")
TAGS = ("--tags", "common,firewall,consul,nats,nomad")
# An election on a busy machine; a second server that went meanwhile would take longer to come back.
PAUSE_S = 30
# The certificate that a server shows, seen from its own node: `PROGRAM ADDRESS`.
CERTIFICATE = """
import hashlib, socket, ssl, sys
program, address = sys.argv[1:]
context = ssl._create_unverified_context()
own = f"/etc/{program}{'' if program == 'nats' else '.d'}/tls/{program}"
context.load_cert_chain(f"{own}.pem", f"{own}.key")
server = socket.create_connection((address, {"consul": 8300, "nomad": 4647, "nats": 4222}[program]), timeout=20)
if program == "nats":
    while not server.recv(65536).endswith(b"\\r\\n"):
        pass
else:
    server.sendall(bytes([{"consul": 3, "nomad": 4}[program]]))
print(hashlib.sha256(context.wrap_socket(server).getpeercert(True)).hexdigest())
"""

WEB = """
job "web" {
  group "g" {
    network {
      port "http" {}
    }

    update {
      max_parallel = 0
    }

    reschedule {
      delay          = "5s"
      delay_function = "constant"
      unlimited      = true
    }

    disconnect {
      lost_after = "10s"
    }

    service {
      name     = "web"
      port     = "http"
      provider = "consul"

      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "py" {
      driver = "raw_exec"
      user   = "USER"

      config {
        command = "/usr/bin/python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}", "--directory", "/usr/share"]
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
"""


def secrets(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((lab.path / "vault/secrets.yaml").read_text())
    return found


def cli(lab: Lab, node: str, *words: str, token: str = "", code: int | None = 0) -> str:
    """What the command `nomad` for people says on a node."""
    done = lab.run(node, "/usr/local/bin/nomad", *words, env={"NOMAD_TOKEN": token} if token else {})
    assert code is None or done.code == code, done.output
    return done.output


def ask(lab: Lab, node: str, path: str) -> Any:
    """What Nomad's API answers to the management token."""
    return json.loads(cli(lab, node, "operator", "api", path))


def passing(lab: Lab, node: str, service: str) -> list[str]:
    """The nodes on which Consul knows a healthy service."""
    header = f"X-Consul-Token: {secrets(lab)['consul']['management_token']}"
    url = f"http://127.0.0.1:8500/v1/health/service/{service}?passing"
    program = (
        "import sys, urllib.request as r;"
        "q = r.Request(sys.argv[1], headers=dict([sys.argv[2].split(': ')]));"
        "print(r.urlopen(q, timeout=3).read().decode())"
    )
    done = lab.run(node, "python3", "-c", program, url, header)
    return [one["Node"]["Node"] for one in json.loads(done.output)] if done.code == 0 else []


def ready(lab: Lab, node: str) -> set[str]:
    done = lab.run(node, "/usr/local/bin/nomad", "operator", "api", "/v1/nodes")
    return {one["Name"] for one in json.loads(done.output) if one["Status"] == "ready"} if done.code == 0 else set()


def leader(lab: Lab, node: str) -> str:
    """The node that leads Nomad's servers; empty while nobody does."""
    done = lab.run(node, "/usr/local/bin/nomad", "operator", "api", "/v1/status/leader")
    address = done.output.strip().strip('"').rpartition(":")[0] if done.code == 0 else ""
    return next((one.name for one in lab if one.address == address), "")


def run_job(lab: Lab, node: str, user: str) -> None:
    lab.run(node, "sh", "-c", "cat >/root/web.nomad", text=WEB.replace("USER", user))
    cli(lab, node, "job", "run", "-detach", "/root/web.nomad")


def running(lab: Lab) -> set[str]:
    """The instances of the job that run."""
    allocations = ask(lab, "n1", "/v1/job/web/allocations")
    return {one["ID"] for one in allocations if one["ClientStatus"] == "running"}


def keys(lab: Lab) -> list[str]:
    """The gossip keys that Nomad's servers know."""
    known: dict[str, int] = json.loads(cli(lab, "n1", "operator", "api", "/v1/agent/keyring/list"))["Keys"]
    return sorted(known)


def shown(lab: Lab, program: str) -> set[str]:
    """The certificates that the nodes' servers show who connects to them."""
    looked = [lab.run(name, "/usr/bin/python3", "-c", CERTIFICATE, program, lab[name].address) for name in SERVERS]
    assert all(done.code == 0 for done in looked), looked
    return {done.output for done in looked}


def state(lab: Lab, node: str) -> str:
    """What a node's programs know about the job, for a person who looks for a fault."""
    commands = (
        ("nomad", "job", "status", "web"),
        ("nomad", "node", "status"),
        ("nomad", "server", "members"),
        ("consul", "operator", "raft", "list-peers"),
        ("consul", "catalog", "nodes", "-service=web"),
        ("journalctl", "-u", "nomad", "-u", "consul", "-n", "80", "--no-pager"),
    )
    programs = [
        lab.run(node, "sh", "-c", 'PATH=/usr/local/bin:$PATH exec "$@"', "sh", *command) for command in commands
    ]
    return "\n".join(f"$ {' '.join(words)}\n{done.output}" for words, done in zip(commands, programs, strict=True))


def others(name: str) -> list[str]:
    return [node for node in SERVERS if node != name]


@pytest.fixture(scope="module", autouse=True)
def three(lab: Lab) -> None:
    lab.add(*SERVERS)


def test_three_machines_become_a_cluster(lab: Lab) -> None:
    began = time.monotonic()
    lab.play("playbook.yaml", THREE, *TAGS).succeeded()
    print(f"founded in {time.monotonic() - began:.0f} s")
    assert ready(lab, "n1") == {"n1", "n2", "n3"}
    assert leader(lab, "n2")
    health = ask(lab, "n3", "/v1/operator/autopilot/health")
    assert [server["Voter"] for server in health["Servers"]] == [True] * 3


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    play = lab.play("playbook.yaml", THREE, *TAGS).succeeded()
    assert {name: host.changed_tasks for name, host in play.hosts.items()} == {"n1": [], "n2": [], "n3": []}


def test_secrets_are_for_root_and_not_in_what_ansible_says(lab: Lab) -> None:
    said = "".join(path.read_text() for path in (lab.path / "plays").glob("*.log"))
    known = [value for part in secrets(lab).values() if isinstance(part, dict) for value in part.values()]
    assert not [value for value in known if isinstance(value, str) and value in said]
    for file in ("nomad.hcl", "server.hcl", "gossip.hcl", "management.token", "tls/nomad.key"):
        assert lab.run("n1", "stat", "-c", "%U %a", f"/etc/nomad.d/{file}").output.split() == ["root", "600"]


def test_the_command_line_works_as_the_pages_write_it(lab: Lab) -> None:
    assert "n1" in cli(lab, "n1", "node", "status")
    run_job(lab, "n1", "nobody")
    wait_until("web in Consul", lambda: passing(lab, "n2", "web") != [], 60)
    assert "web" in cli(lab, "n2", "job", "status", "web")
    assert "Serving HTTP" in cli(lab, "n1", "alloc", "logs", "-job", "web", code=None) + cli(
        lab, "n1", "alloc", "logs", "-stderr", "-job", "web", code=None
    )
    (node,) = passing(lab, "n1", "web")
    assert "nobody" in lab.run(node, "ps", "-o", "user=", "-C", "python3").output


def test_no_job_runs_as_root(lab: Lab) -> None:
    cli(lab, "n1", "job", "stop", "-detach", "web")
    run_job(lab, "n1", "root")
    wait_until(
        "the refusal",
        lambda: "running as uid 0 is disallowed" in json.dumps(ask(lab, "n1", "/v1/job/web/allocations")), 60,
    )  # fmt: skip
    cli(lab, "n1", "job", "stop", "-purge", "-detach", "web")


def test_the_apps_token_scales_and_does_not_submit(lab: Lab) -> None:
    run_job(lab, "n1", "nobody")
    wait_until("web in Consul", lambda: passing(lab, "n1", "web") != [], 60)
    app = secrets(lab)["nomad"]["app_token"]
    assert "Permission denied" in cli(lab, "n1", "job", "run", "-detach", "/root/web.nomad", token=app, code=1)
    assert "Permission denied" in cli(lab, "n1", "job", "stop", "-detach", "web", token=app, code=1)
    cli(lab, "n1", "job", "scale", "-detach", "web", "g", "0", token=app)
    wait_until("web asleep", lambda: passing(lab, "n1", "web") == [], 60)
    cli(lab, "n1", "job", "scale", "-detach", "web", "g", "1", token=app)
    wait_until("web awake", lambda: passing(lab, "n1", "web") != [], 60)


def test_a_machine_without_an_introduction_is_refused(lab: Lab) -> None:
    lab.run("n3", "sh", "-c", "systemctl stop nomad && rm -rf /opt/nomad/data/client && systemctl start nomad")
    wait_until(
        "a refusal", lambda: "Permission denied" in lab.run("n3", "journalctl", "-u", "nomad", "-n", "60").output
    )
    ids = {one["ID"] for one in ask(lab, "n1", "/v1/nodes") if one["Name"] == "n3" and one["Status"] == "ready"}
    own = lab.run("n3", "cat", "/opt/nomad/data/client/client-id").output.strip()
    assert own
    assert own not in ids
    lab.play("playbook.yaml", THREE, "--tags", "nomad").succeeded()
    assert ready(lab, "n1") == {"n1", "n2", "n3"}


def test_another_server_leads_when_the_leader_is_cut_off(lab: Lab) -> None:
    first = leader(lab, "n1")
    watcher = others(first)[0]
    lab[first].cut_off()
    took = wait_until("another leader", lambda: leader(lab, watcher) not in ("", first), 60)
    print(f"another leader after {took:.1f} s")
    lab[first].reconnect()
    wait_until(
        "three healthy servers", lambda: bool(ask(lab, watcher, "/v1/operator/autopilot/health")["Healthy"]), 120
    )
    # Consul took the vote of the one that was away and gives it back after a while; only then may another one go.
    wait_until("three voters of Consul", lambda: len(ConsulApi(lab).voters(watcher)) == 3, 120)


def test_a_job_of_a_machine_that_is_cut_off_runs_elsewhere(lab: Lab) -> None:
    wait_until("web in Consul", lambda: len(passing(lab, "n1", "web")) == 1, 120)
    (lost,) = passing(lab, "n1", "web")
    watcher = others(lost)[0]
    lab[lost].cut_off()
    try:
        took = wait_until("web elsewhere", lambda: passing(lab, watcher, "web") not in ([], [lost]), 300)
        print(f"elsewhere after {took:.1f} s")
    except TimeoutError:
        print(state(lab, watcher))
        raise
    finally:
        lab[lost].reconnect()
    wait_until("the machine back", lambda: ready(lab, watcher) == {"n1", "n2", "n3"}, 180)
    wait_until("one of it", lambda: len(passing(lab, watcher, "web")) == 1, 180)


def test_secrets_and_certificates_turn_without_a_pause(lab: Lab) -> None:
    before = secrets(lab)
    before_shown = {program: shown(lab, program) for program in PROGRAMS}
    runs = running(lab)

    with Sampler(lab, PROGRAMS, SERVERS) as sampler:
        lab.play("playbook.yaml", THREE, "--tags", "rotate").succeeded()

    print(sampler)
    after = secrets(lab)
    assert "previous" not in after
    for program in PROGRAMS:
        # Consul reads all of it anew and goes on; the others are restarted, one server after the other.
        assert sampler.most_down(program) <= (0 if program == "consul" else 1)
        assert sampler.longest_pause(program) < PAUSE_S
        assert len(shown(lab, program) - before_shown[program]) == 3, f"each {program} shows a new certificate"
    for program in ("consul", "nomad"):
        assert after[program]["gossip_key"] != before[program]["gossip_key"]
        assert after[program]["app_token"] != before[program]["app_token"]
    assert keys(lab) == [after["nomad"]["gossip_key"]]
    assert cli(lab, "n1", "acl", "token", "self", token=before["nomad"]["app_token"], code=1)
    assert "pipecatapp" in cli(lab, "n1", "acl", "token", "self", token=after["nomad"]["app_token"])
    assert running(lab) == runs
    assert ready(lab, "n2") == set(SERVERS)
    assert lab.run("n1", "cat", "/etc/pipecatapp/cluster.env").output.count(after["consul"]["app_token"]) == 1


def test_a_service_from_before_the_rotation_is_still_watched(lab: Lab) -> None:
    (node,) = passing(lab, "n1", "web")

    lab.run(node, "pkill", "-STOP", "-u", "nobody", "python3")
    wait_until("the frozen one out of use", lambda: passing(lab, "n1", "web") == [], 60)
    lab.run(node, "pkill", "-CONT", "-u", "nobody", "python3")
    wait_until("it in use again", lambda: passing(lab, "n1", "web") == [node], 60)


_NEWER = """#!/bin/sh
[ "$1" != version ] || { echo "Nomad v99.0.0"; exit; }
exec /opt/hashicorp/nomad/REAL/nomad "$@"
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a newer Nomad: NOMAD_NEXT_BIN, else the same program that says that it is newer."""
    folder = tmp_path_factory.mktemp("newer")
    program = folder / "nomad"
    if following := os.environ.get("NOMAD_NEXT_BIN"):
        shutil.copy(following, program)
    else:
        program.write_text(_NEWER.replace("REAL", nomad.version()))
    for path, mode in ((program, 0o755), (folder, 0o755), (folder.parent, 0o755)):
        path.chmod(mode)
    return folder


def test_an_upgrade_restarts_one_server_at_a_time_and_no_job(lab: Lab, newer: Path) -> None:
    before = running(lab)
    said = subprocess.run([newer / "nomad", "version"], capture_output=True, text=True, check=True).stdout.split()[1]

    with Sampler(lab, ["nomad"], SERVERS) as sampler:
        play = lab.play("playbook.yaml", THREE, "--tags", "nomad", "-e", f"nomad_binary_folder={newer}").succeeded()

    print(sampler)
    assert all("nomad : Restart nomad" in host.changed_tasks for host in play.hosts.values())
    assert sampler.most_down("nomad") <= 1, "each was restarted, never two at once"
    assert sampler.longest_pause("nomad") < PAUSE_S
    assert {cli(lab, name, "version").split()[1] for name in SERVERS} == {said}
    assert running(lab) == before
    assert ready(lab, "n2") == set(SERVERS)


def test_an_older_version_is_refused(lab: Lab) -> None:
    used = cli(lab, "n1", "version").split()[1].removeprefix("v")
    starts = [lab.run(name, "systemctl", "show", "--property=MainPID", "nomad").output for name in SERVERS]

    play = lab.play("playbook.yaml", THREE, "--tags", "nomad")

    assert play.code != 0
    assert f"nomad {nomad.version()} is older than {used}, which is in use here" in " ".join(play.output.split())
    assert [lab.run(name, "systemctl", "show", "--property=MainPID", "nomad").output for name in SERVERS] == starts
