"""The role `nomad` and the jobs of `jobs/` once they are rendered: Nomad reads them, and no job has a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing import nomad
from testing.nomad import NomadFileError, check_configuration, check_job, crowded_lines

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "ansible/roles/nomad"
ANSIBLE = ROOT / ".cache/provision/bin/ansible"
SECRETS = {
    "consul": {"nomad_token": "consul-server-secret", "nomad_client_token": "consul-client-secret"},
    "nomad": {"gossip_key": "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gMTI=", "management_token": "nomad-secret"},
}
HOUSE = {
    "cluster_secrets": SECRETS,
    "cluster_servers": ["n1", "n2", "n3"],
    "cluster_members": {"n1": "10.77.0.11", "n2": "10.77.0.12", "n3": "fd00::13", "n4": "10.77.0.14"},
    "cluster_networks": ["10.77.0.0/24"],
    "agent_nodes": ["n1", "n2", "n3"],
}


def loaded(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def render(source: Path, node: str, values: dict[str, Any], target: Path) -> str:
    """A template as Ansible fills it in for a node."""
    extra = target.with_name(f"{target.name}.json")
    extra.write_text(json.dumps(values))
    words = f"src={source} dest={target}"
    command = [str(ANSIBLE), "-i", f"{node},", "-c", "local", node, "-m", "template", "-a", words, "-e", f"@{extra}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target.read_text(encoding="utf-8")


def configuration(folder: Path, node: str = "n1", **house: Any) -> dict[str, str]:
    """The files of a node by name."""
    shared = loaded(ROOT / "group_vars/all.yaml")
    values = shared | loaded(ROLE / "defaults/main.yaml") | loaded(ROLE / "vars/main.yaml") | HOUSE | house
    names = ["nomad", "client"] + (["server", "gossip", "founding"] if node in HOUSE["cluster_servers"] else [])
    return {name: render(ROLE / f"templates/{name}.hcl.j2", node, values, folder / f"{name}.hcl") for name in names}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return configuration(tmp_path_factory.mktemp("server"))


# The configuration ----------------------------------------------------------------------------------------------------


def test_nomads_rules_hold_for_a_server_and_a_worker(server: dict[str, str], tmp_path: Path) -> None:
    worker = configuration(tmp_path, "n4")
    for text in (*server.values(), *worker.values()):
        check_configuration(text)
    assert set(worker) == {"nomad", "client"}


def test_a_worker_has_the_weaker_token_and_no_gossip_key(server: dict[str, str], tmp_path: Path) -> None:
    worker = "".join(configuration(tmp_path, "n4").values())
    assert "consul-client-secret" in worker
    assert "consul-server-secret" not in worker
    assert SECRETS["nomad"]["gossip_key"] not in worker
    assert "consul-server-secret" in server["nomad"]


def test_nothing_is_open_by_default(server: dict[str, str]) -> None:
    shared = check_configuration(server["nomad"])
    assert shared["acl"][0]["enabled"] is True
    tls = shared["tls"][0]
    assert (tls["http"], tls["rpc"], tls["verify_server_hostname"]) == (True, True, True)
    assert shared["disable_update_check"] is True
    introduction = check_configuration(server["server"])["server"][0]["client_introduction"][0]
    assert introduction["enforcement"] == '"strict"'
    drivers = {
        name.strip('"'): body for one in check_configuration(server["client"])["plugin"] for name, body in one.items()
    }
    assert drivers["raw_exec"]["config"][0]["denied_host_uids"] == '"0"'


def test_only_the_first_start_founds(server: dict[str, str]) -> None:
    assert check_configuration(server["founding"])["server"][0]["bootstrap_expect"] == 3
    assert "bootstrap_expect" not in server["server"] + server["nomad"]


def test_two_networks_of_a_house_are_asked_in_turn(tmp_path: Path) -> None:
    text = configuration(tmp_path, cluster_networks=["10.77.0.0/24", "192.168.1.0/24"])["nomad"]
    address = check_configuration(text)["bind_addr"].replace('\\"', '"').strip('"')
    assert address == (
        '{{ with GetAllInterfaces | include "network" "10.77.0.0/24" | limit 1 }}{{ attr "address" . }}{{ else }}'
        '{{ with GetAllInterfaces | include "network" "192.168.1.0/24" | limit 1 }}'
        '{{ attr "address" . }}{{ end }}{{ end }}'
    )


def test_only_machines_with_the_agent_offer_its_folder(server: dict[str, str], tmp_path: Path) -> None:
    assert 'host_volume "pipecatapp"' in server["client"]
    assert "host_volume" not in configuration(tmp_path, "n4")["client"]


def test_nomad_itself_accepts_the_configuration(server: dict[str, str], tmp_path: Path) -> None:
    nomad.program()
    for name, text in server.items():
        # It looks for the certificates and for an address of this machine.
        (tmp_path / f"{name}.hcl").write_text(text.replace("10.77.0.0/24", "0.0.0.0/0"))
    assert "Configuration is valid" in nomad.run("config", "validate", tmp_path)


# The jobs -------------------------------------------------------------------------------------------------------------


def examples() -> list[Path]:
    return sorted((ROOT / "jobs/examples").glob("*.yaml"))


@pytest.fixture(params=examples(), ids=lambda file: file.stem)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A job as its example renders it."""
    example = loaded(request.param)
    target = tmp_path / f"{example['name']}.nomad"
    render(ROOT / f"jobs/{example['template']}.nomad.j2", "n1", {"job": example["variables"]}, target)
    return target


def test_every_job_has_an_example() -> None:
    named = {loaded(file)["template"] for file in examples()}
    assert named == {file.name.removesuffix(".nomad.j2") for file in (ROOT / "jobs").glob("*.nomad.j2")}


def test_nomads_rules_hold_for_every_job(job: Path) -> None:
    parsed = check_job(job.read_text(encoding="utf-8"))
    (name,) = (label.strip('"') for label in parsed["job"][0] if not label.startswith("__"))
    assert name == job.stem


def test_no_job_runs_as_root_or_has_a_secret(job: Path) -> None:
    text = job.read_text(encoding="utf-8")
    assert 'user         = "root"' not in text
    assert text.count("user ") >= text.count("driver ")
    assert not [line for line in text.splitlines() if "token" in line.lower() or "secret" in line.lower()]


def test_nomad_itself_accepts_every_job(job: Path) -> None:
    nomad.run("fmt", "-check", job)
    assert "Warning" not in nomad.run("job", "validate", job)


# The stand-in finds what Nomad would ----------------------------------------------------------------------------------

WRONG = {
    "two arguments on a line": 'job "a" {\n  group "g" { count = 1 shutdown_delay = "2s" }\n}\n',
    "a block in a line": 'job "a" {\n  group "g" { network { mode = "host" } }\n}\n',
    "an unknown argument": 'job "a" {\n  group "g" {\n    counts = 1\n  }\n}\n',
    "an unknown block": 'job "a" {\n  groups "g" {\n    count = 1\n  }\n}\n',
    "no end": 'job "a" {\n  type = "service"\n',
    "no driver": 'job "a" {\n  group "g" {\n    task "t" {\n      user = "nobody"\n    }\n  }\n}\n',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_the_stand_in_refuses(text: str) -> None:
    with pytest.raises(NomadFileError):
        check_job(text)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_so_does_nomad(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.nomad").write_text(text)
    with pytest.raises(NomadFileError):
        nomad.run("job", "validate", tmp_path / "a.nomad")


def test_strings_and_comments_are_no_arguments() -> None:
    assert crowded_lines('a { b = "c = { d = e }" } # f = g\nx = { y = 1, z = 2 }\nk { l = a == b }') == []
