"""What the role `service` writes: units that systemd accepts and that leave little open, and words that stay words."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
ROLES = ROOT / "ansible/roles"
ANSIBLE = ROOT / ".cache/provision/bin/ansible"
# What systemd-analyze gives for "medium" begins at 5.0; a unit without any of it has 9.6. In tenths.
MOST_EXPOSED = {"pipecatapp": 44, "pipecatapp-engine": 25}


def variables(role: str) -> dict[str, Any]:
    """The service that a role defines, with the defaults of the role `service` under it."""
    tasks = yaml.safe_load((ROLES / role / "tasks/service.yaml").read_text(encoding="utf-8"))
    given = next(task["vars"] for task in tasks if task["ansible.builtin.include_role"].keys() == {"name"})
    defaults = yaml.safe_load((ROLES / "service/defaults/main.yaml").read_text(encoding="utf-8"))
    shared = yaml.safe_load((ROOT / "group_vars/all.yaml").read_text(encoding="utf-8"))
    own = yaml.safe_load((ROLES / role / "defaults/main.yaml").read_text(encoding="utf-8"))
    return {**shared, **defaults, **own, **given, "service_manager": "systemd", "cluster_enabled": False}


def render(template: str, values: dict[str, Any], target: Path) -> Path:
    """A template of the role, as Ansible fills it in."""
    extra = target.with_name(f"{target.name}.json")
    extra.write_text(json.dumps(values))
    words = f"src={ROLES / 'service/templates' / template} dest={target}"
    command = [str(ANSIBLE), "-i", "localhost,", "-c", "local", "localhost", "-m", "template", "-a", words]
    done = subprocess.run([*command, "-e", f"@{extra}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(params=[("pipecatapp", "pipecatapp"), ("llamacpp", "pipecatapp-engine")], ids=lambda pair: pair[1])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit file of a service."""
    role, name = request.param
    # systemd-analyze looks whether the program is there.
    values = {**variables(role), "app_home": str(tmp_path), "app_user": "daemon"}
    (tmp_path / "venv/bin").mkdir(parents=True)
    shutil.copy("/bin/true", tmp_path / "venv/bin/pipecatapp")
    return render("unit.j2", values, tmp_path / f"{name}.service")


def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    # Lines that an older systemd does not know are newer than it; they say so themselves in the unit.
    unknown = ("RestartSteps", "RestartMaxDelaySec", "DelegateSubgroup")
    assert [line for line in ours if not any(name in line for name in unknown)] == []


def test_the_unit_leaves_little_open(unit: Path) -> None:
    most = MOST_EXPOSED[unit.stem]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    text = unit.read_text(encoding="utf-8")
    for rule in (
        "SystemCallFilter=@system-service",
        "ProtectProc=invisible",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
    ):
        assert re.search(rf"^{rule}", text, re.M), rule


def test_the_agent_may_limit_the_memory_of_what_it_runs(tmp_path: Path) -> None:
    unit = render("unit.j2", variables("pipecatapp"), tmp_path / "pipecatapp.service").read_text(encoding="utf-8")
    assert "Delegate=memory pids\n" in unit
    assert "ProtectControlGroups" not in unit


def test_only_the_agent_makes_namespaces(tmp_path: Path) -> None:
    unit = render("unit.j2", variables("llamacpp"), tmp_path / "pipecatapp-engine.service").read_text(encoding="utf-8")
    assert "RestrictNamespaces=yes\n" in unit
    assert "SystemCallFilter=~@privileged\n" in unit


def test_the_engine_speaks_with_this_pc_alone(tmp_path: Path) -> None:
    unit = render("unit.j2", variables("llamacpp"), tmp_path / "pipecatapp-engine.service").read_text(encoding="utf-8")
    assert "IPAddressDeny=any\nIPAddressAllow=localhost\n" in unit


def test_words_of_a_command_stay_words_under_the_supervisor(tmp_path: Path) -> None:
    values = {**variables("llamacpp"), "service_command": ["printf", "%s|", "two words", "$HOME"]}
    values |= {"service_folder": str(tmp_path), "service_user": "nobody", "service_environment": {"A": "b 'c'"}}
    script = render("run.j2", {**values, "app_home": str(tmp_path)}, tmp_path / "run").read_text(encoding="utf-8")
    (tmp_path / "services/pipecatapp-engine/supervise").mkdir(parents=True)
    # Without the change of user, which needs root.
    plain = re.sub(r"setpriv .*\\\n *--no-new-privs ", "", script)
    done = subprocess.run(["sh", "-c", plain], capture_output=True, text=True, check=True)
    assert done.stdout == "two words|$HOME|"


def unit_of(tmp_path: Path, **values: Any) -> str:
    """The text of a unit that is defined with these variables of the role on top of its defaults."""
    given = {
        **variables("llamacpp"),
        "service_weight": 100,
        "service_network": "any",
        "service_user": "daemon",
        **values,
    }
    return render("unit.j2", given, tmp_path / "probe.service").read_text(encoding="utf-8")


def test_a_supervisor_keeps_its_rights_and_its_children(tmp_path: Path) -> None:
    text = unit_of(
        tmp_path, service_user="root", service_confined=False, service_kill_mode="process", service_open_files=65536
    )
    lines = text.splitlines()

    assert "KillMode=process" in lines
    assert "KillMode=mixed" not in lines
    assert "Delegate=yes" in lines
    assert "LimitNOFILE=65536" in lines
    confining = ("NoNewPrivileges", "Protect", "Private", "Capability", "Restrict", "SystemCall", "ReadWritePaths")
    assert [line for line in lines if line.startswith(confining)] == []


def test_a_cluster_daemon_outranks_an_engine(tmp_path: Path) -> None:
    shared = yaml.safe_load((ROOT / "group_vars/all.yaml").read_text(encoding="utf-8"))["service_weights"]
    daemon = unit_of(tmp_path, service_weight=shared["cluster"])
    engine = render("unit.j2", variables("llamacpp"), tmp_path / "engine.service").read_text(encoding="utf-8")

    weights = [
        int(re.findall(rf"(?m)^{kind}Weight=(\d+)$", text)[0]) for text in (daemon, engine) for kind in ("CPU", "IO")
    ]
    assert weights == [500, 500, 50, 50]
    assert "Weight=" not in unit_of(tmp_path)


def test_a_daemon_that_says_when_it_is_ready_is_given_the_time(tmp_path: Path) -> None:
    text = unit_of(
        tmp_path,
        service_type="notify",
        service_reload=["/bin/kill", "-HUP", "$MAINPID"],
        service_stop_signal="SIGINT",
        service_capabilities=["CAP_NET_BIND_SERVICE"],
    )
    unit = tmp_path / "probe.service"
    (tmp_path / "venv/bin").mkdir(parents=True)
    unit.write_text(re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    unknown = ("RestartSteps", "RestartMaxDelaySec", "DelegateSubgroup")

    assert [
        line for line in done.stderr.splitlines() if unit.name in line and not any(x in line for x in unknown)
    ] == []
    for line in (
        "Type=notify",
        "TimeoutStartSec=infinity",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "KillSignal=SIGINT",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
    ):
        assert line in text.splitlines(), line


@pytest.mark.parametrize("manager", ["systemd", "runit"])
def test_the_command_for_services_lists_what_the_cluster_runs(manager: str, tmp_path: Path) -> None:
    """Where there is systemd: a job has a program of its own that tells how it is."""
    values = {**variables("pipecatapp"), "app_home": str(tmp_path), "service_manager": manager}
    job = tmp_path / "services/agent"
    job.mkdir(parents=True)
    (job / "control").write_text('#!/bin/sh\n[ "$1" = up ] || echo "job agent runs on n2"\n')
    (job / "control").chmod(0o755)
    command = render("services.sh.j2", values, tmp_path / "services.sh")
    done = subprocess.run(["bash", command, "status"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == (["agent", "job", "agent", "runs", "on", "n2"] if manager == "systemd" else [])


def test_jobs_of_the_cluster_stop_first_and_start_last(tmp_path: Path) -> None:
    values = {**variables("pipecatapp"), "app_home": str(tmp_path), "service_manager": "systemd"}
    job = tmp_path / "services/agent"
    job.mkdir(parents=True)
    log = tmp_path / "log"
    (job / "control").write_text(f'#!/bin/sh\necho "control $1" >>{log}\n')
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "systemctl $*" >>{log}\n')
    for program in (job / "control", tmp_path / "systemctl"):
        program.chmod(0o755)
    text = render("services.sh.j2", values, tmp_path / "services.sh").read_text().replace('main "$@"\n', "")
    script = f"{text}\nPATH={tmp_path}:$PATH\nstart engine agent\nstop agent engine\n"
    subprocess.run(["bash", "-c", script], check=True, capture_output=True)
    assert log.read_text().splitlines() == [
        "systemctl start engine",
        "control start",
        "control stop",
        "systemctl stop engine",
    ]


def test_a_job_holds_the_very_unit_that_is_a_service_elsewhere(tmp_path: Path) -> None:
    values = {**variables("pipecatapp"), "app_home": str(tmp_path)}
    service = render("unit.j2", values, tmp_path / "service").read_text(encoding="utf-8")
    held = render("unit.j2", {**values, "service_socket": "/run/a.sock"}, tmp_path / "held").read_text(encoding="utf-8")
    program = f"/usr/bin/python3 {tmp_path}/share/held_unit.py run "

    def confining(text: str) -> list[str]:
        """All but how it starts."""
        own = ("ExecStart", "Restart", "[Install]", "WantedBy", "#")
        return [line for line in text.splitlines() if line and not line.startswith(own)]

    assert confining(held) == confining(service)
    assert f"ExecStart={program}{tmp_path}/venv/bin/pipecatapp serve" in held.splitlines()
    assert "Restart=no" in held.splitlines()
    assert "[Install]" not in held
