"""What the playbook tells an agent about the servers that have its journal, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipecatapp.settings import Settings
from pipecatapp.web.hosts import parse_allowed, parse_proxies
from testing.rendering import rendered, settings_of

pytestmark = pytest.mark.unit

SERVERS = ["tls://10.77.0.11:4222", "tls://10.77.0.12:4222", "tls://10.77.0.13:4222"]


def cluster_env(servers: list[str], node: str = "n1", address: str = "10.77.0.5") -> str:
    secrets = {"consul": {"app_token": "c"}, "nomad": {"app_token": "n"}, "nats": {"app_password": "of-the-agent"}}
    values: dict[str, Any] = {
        "cluster_secrets": secrets, "pipecatapp_log_servers": servers, "app_config_dir": "/etc/pipecatapp",
        "inventory_hostname": node, "pipecatapp_home_node": "n1", "agent_port": 8001, "agent_tls_port": 8444,
        "house_proxies": ["n1", "n2"], "house_name": "assistant.local", "house_address": address,
        "cluster_members": {"n1": "10.77.0.11", "n2": "10.77.0.12"},
    }  # fmt: skip
    return rendered("ansible/roles/pipecatapp/templates/cluster.env.j2", **values)


def test_an_agent_of_three_controllers_knows_its_servers_and_its_own_certificate(tmp_path: Path) -> None:
    (tmp_path / "cluster.env").write_text(cluster_env(SERVERS))
    values: dict[str, Any] = {"_env_file": tmp_path / "cluster.env"}
    settings = Settings(**values)

    assert list(settings.journal_servers) == SERVERS
    assert (settings.nats_user, settings.nats_password) == ("app", "of-the-agent")
    assert {settings.nats_ca, settings.nats_certificate, settings.nats_key} == {
        Path("/etc/pipecatapp/nats") / name for name in ("ca.pem", "agent.pem", "agent.key")
    }


def test_the_memory_that_a_new_log_begins_with_is_that_of_the_home() -> None:
    assert settings_of(cluster_env(SERVERS, "n1"))["JOURNAL_HOME"] == "true"
    assert settings_of(cluster_env(SERVERS, "n2"))["JOURNAL_HOME"] == "false"


def test_an_agent_of_fewer_keeps_its_journal_to_itself() -> None:
    told = settings_of(cluster_env([]))
    assert not [name for name in told if name.startswith(("NATS_", "JOURNAL_", "WEB_", "HOUSE_"))]


def test_behind_the_houses_proxy_it_has_other_ports_and_believes_the_proxies(tmp_path: Path) -> None:
    (tmp_path / "cluster.env").write_text(cluster_env(SERVERS))
    values: dict[str, Any] = {"_env_file": tmp_path / "cluster.env"}
    settings = Settings(web_trusted_proxies="192.0.2.1", **values)

    assert (settings.web_port, settings.web_proxied_port) == (8000, 8001)
    assert (settings.web_tls_port, settings.web_proxied_tls_port) == (8443, 8444)
    assert [str(one) for one in parse_proxies(settings.trusted_proxies)] == [
        "192.0.2.1/32", "10.77.0.11/32", "10.77.0.12/32"
    ]  # fmt: skip
    assert parse_allowed(settings.allowed_hosts) == ("n1", "n2", "assistant.local", "10.77.0.5")
