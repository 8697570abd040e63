"""Programs of an attacker's own on a machine of the lab: agents of Consul and Nomad that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from testing.lab.lab import Lab
from testing.lab.node import wait_until

EVIL = "/opt/evil"


def bring(lab: Lab, node: str, *programs: str) -> None:
    """Give a machine programs of an attacker's own."""
    folder = lab[node].root / EVIL.lstrip("/")
    folder.mkdir(mode=0o755, exist_ok=True)
    for program in programs:
        real = lab.run("n1", "readlink", "--canonicalize", f"/opt/hashicorp/{program}/current/{program}").output.strip()
        (folder / program).write_bytes((lab["n1"].root / real.lstrip("/")).read_bytes())
        (folder / program).chmod(0o755)


def attack(lab: Lab, node: str, name: str, program: str, config: Mapping[str, Any], said: str) -> str:
    """Run an attacker's agent until its log says something; the log."""
    folder = lab[node].root / EVIL.lstrip("/")
    (folder / f"{name}.json").write_text(json.dumps({**config, "data_dir": f"{EVIL}/{name}"}))
    unit = f"evil-{name}"
    words = ["agent", f"-config-file={EVIL}/{name}.json" if program == "consul" else f"-config={EVIL}/{name}.json"]
    lab.run(node, "systemd-run", f"--unit={unit}", "--setenv=HOME=/root", f"{EVIL}/{program}", *words)

    def log() -> str:
        return lab.run(node, "journalctl", "--no-pager", "--output=cat", f"--unit={unit}").output

    try:
        wait_until(f"{name}: {said}", lambda: said in log(), 120, every_s=1)
    except TimeoutError:
        pytest.fail(f"{name} never said {said!r}:\n{log()[-3000:]}")
    finally:
        lab.run(node, "systemctl", "kill", "--signal=KILL", unit)
    return log()


def consul_agent(lab: Lab, node: str, **more: Any) -> dict[str, Any]:
    ports = {"http": 18500, "dns": -1, "grpc": -1, "serf_lan": 18301, "serf_wan": -1, "server": 18300}
    joins = {"retry_join": [f"{lab['n1'].address}:8301"], "retry_interval": "1s", "disable_update_check": True}
    return {"node_name": "evil", "datacenter": "dc1", "bind_addr": lab[node].address, "ports": ports, **joins, **more}


def nomad_agent(lab: Lab, node: str, part: Mapping[str, Any], tls: str) -> dict[str, Any]:
    files = {"ca_file": f"{tls}/ca.pem", "cert_file": f"{tls}/nomad.pem", "key_file": f"{tls}/nomad.key"}
    return {
        "name": "evil", "region": "global", "datacenter": "dc1", "bind_addr": lab[node].address,
        "disable_update_check": True, "ports": {"http": 14646, "rpc": 14647, "serf": 14648},
        "tls": {"http": True, "rpc": True, "verify_server_hostname": True, **files}, **part,
    }  # fmt: skip
