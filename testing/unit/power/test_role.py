"""What the role writes is what the agent reads, and gives it no more than it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from power_agent.configuration import read_configuration
from testing.fakes.power_role import ROLE, rendered

pytestmark = pytest.mark.unit


def test_the_agent_reads_what_the_role_writes() -> None:
    read = read_configuration(rendered("config.json"))

    (engine,) = read.services
    assert read.broken == {}
    assert (engine.unit, engine.host, engine.port, engine.activator_port, engine.idle_s) == (
        "pipecatapp-engine.service", "127.0.0.1", 8081, 18081, 1800,
    )  # fmt: skip
    assert read.policy == Path("/var/lib/pipecatapp/power_policy.json")
    assert (read.nomad, read.consul, read.consul_user, read.policy_key) == (None, None, "", "")


def test_it_has_three_capabilities_and_no_root() -> None:
    unit = rendered("service")

    rights = "CAP_BPF CAP_NET_RAW CAP_NET_ADMIN"
    assert f"AmbientCapabilities={rights}\nCapabilityBoundingSet={rights}\nNoNewPrivileges=yes" in unit
    assert "User=pipecatapp-power\n" in unit
    # Started only for the units that may sleep, by the agent's user alone.
    assert "power_agent.switch pipecatapp-engine.service\n" in rendered("switch.service")
    assert "SocketUser=pipecatapp-power\nSocketMode=0600\nAccept=yes" in rendered("switch.socket")


def test_it_has_the_engines_key_from_systemd_and_no_right_to_its_folder() -> None:
    (engine,) = read_configuration(rendered("config.json")).services

    assert engine.token_file == Path("/run/credentials/pipecatapp-power.service/engine-key")
    assert "LoadCredential=engine-key:/var/lib/pipecatapp/engine/api.key\n" in rendered("service")


def test_requests_wait_in_sockets_that_outlive_the_agent() -> None:
    assert "ListenStream=127.0.0.1:18081\n" in rendered("activator.socket")
    assert "Sockets=pipecatapp-power-activator.socket\n" in rendered("service")


def test_the_switch_is_where_the_agent_looks_for_it() -> None:
    socket = read_configuration(rendered("config.json")).switch

    assert f"ListenStream={socket}\n" in rendered("switch.socket")


def test_it_is_off_unless_somebody_switches_it_on() -> None:
    assert yaml.safe_load((ROLE / "defaults/main.yaml").read_text())["power_agent_enabled"] is False
