"""What the role writes is what the agent reads, and gives it no more than it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nativetypes
import pytest
import yaml

from power_agent.configuration import read_configuration

pytestmark = pytest.mark.unit

ROLE = Path(__file__).resolve().parents[3] / "ansible/roles/power_agent"
HOUSE = {
    "ansible_managed": "Ansible", "app_home": "/opt/pipecatapp", "app_state_dir": "/var/lib/pipecatapp",
    "app_user": "pipecatapp", "engine_port": "8081", "cluster_enabled": False,
}  # fmt: skip


def _variables() -> dict[str, Any]:
    """The defaults as Ansible would have them: filled in, with their types."""
    native = jinja2.nativetypes.NativeEnvironment(autoescape=False)
    variables: dict[str, Any] = {**HOUSE}

    def filled(value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            return native.from_string(value).render(variables)
        if isinstance(value, list):
            return [filled(each) for each in value]
        return {name: filled(each) for name, each in value.items()} if isinstance(value, dict) else value

    defaults = yaml.safe_load((ROLE / "defaults/main.yaml").read_text())
    variables |= {name: value for name, value in defaults.items() if name != "power_agent_services"}
    variables |= {name: filled(value) for name, value in variables.items()}
    return variables | {"power_agent_services": filled(defaults["power_agent_services"])}


def _rendered(name: str) -> str:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True)
    environment.filters |= {
        "comment": lambda text: f"# {text}",
        "to_nice_json": lambda value, sort_keys: json.dumps(value, indent=4, sort_keys=sort_keys),
    }
    return environment.get_template(f"{name}.j2").render(_variables())


def test_the_agent_reads_what_the_role_writes() -> None:
    read = read_configuration(_rendered("config.json"))

    (engine,) = read.services
    assert read.broken == {}
    assert (engine.unit, engine.host, engine.port, engine.activator_port, engine.idle_s) == (
        "pipecatapp-engine.service", "127.0.0.1", 8081, 18081, 1800,
    )  # fmt: skip
    assert read.policy == Path("/var/lib/pipecatapp/power_policy.json")
    assert (read.nomad, read.consul, read.consul_user) == (None, None, "")


def test_it_has_three_capabilities_and_no_root() -> None:
    unit = _rendered("service")

    rights = "CAP_BPF CAP_NET_RAW CAP_NET_ADMIN"
    assert f"AmbientCapabilities={rights}\nCapabilityBoundingSet={rights}\nNoNewPrivileges=yes" in unit
    assert "User=pipecatapp-power\n" in unit
    # Started only for the units that may sleep, by the agent's user alone.
    assert "power_agent.switch pipecatapp-engine.service\n" in _rendered("switch.service")
    assert "SocketUser=pipecatapp-power\nSocketMode=0600\nAccept=yes" in _rendered("switch.socket")


def test_it_has_the_engines_key_from_systemd_and_no_right_to_its_folder() -> None:
    (engine,) = read_configuration(_rendered("config.json")).services

    assert engine.token_file == Path("/run/credentials/pipecatapp-power.service/engine-key")
    assert "LoadCredential=engine-key:/var/lib/pipecatapp/engine/api.key\n" in _rendered("service")


def test_requests_wait_in_sockets_that_outlive_the_agent() -> None:
    assert "ListenStream=127.0.0.1:18081\n" in _rendered("activator.socket")
    assert "Sockets=pipecatapp-power-activator.socket\n" in _rendered("service")


def test_the_switch_is_where_the_agent_looks_for_it() -> None:
    socket = read_configuration(_rendered("config.json")).switch

    assert f"ListenStream={socket}\n" in _rendered("switch.socket")


def test_it_is_off_unless_somebody_switches_it_on() -> None:
    assert yaml.safe_load((ROLE / "defaults/main.yaml").read_text())["power_agent_enabled"] is False
