"""The house's proxy, its one address and its two agents, as the roles write them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from testing.rendering import ROOT, rendered

pytestmark = pytest.mark.unit

MEMBERS = {"n1": "10.77.0.11", "n2": "10.77.0.12", "n3": "fd00::13"}
ROLE = "ansible/roles/house_address/templates"


def proxy(node: str, agents: list[str], **more: Any) -> str:
    values: dict[str, Any] = {
        "inventory_hostname": node, "house_address_members": MEMBERS, "house_address_agents": agents,
        "house_address_ipv6": True,
        "house_address_alive_port": 8002, "web_port": 8000, "web_tls_port": 8443, "agent_port": 8001,
        "agent_tls_port": 8444,
    }  # fmt: skip
    return rendered(f"{ROLE}/proxy.cfg.j2", **(values | more))


def backend(config: str, name: str) -> str:
    (found,) = re.findall(rf"(?m)^backend {name}\n((?:  .*\n)+)", config)
    return str(found)


def test_the_page_comes_from_the_agent_that_says_it_is_active() -> None:
    config = proxy("n1", ["n1", "n2", "n3"])
    page = backend(config, "page")
    assert "uri /active" in page
    assert "expect status 200" in page
    assert re.findall(r"server (\S+) (\S+) check", page) == [
        ("n1", "10.77.0.11:8001"), ("n2", "10.77.0.12:8001"), ("n3", "[fd00::13]:8001"),
    ]  # fmt: skip
    assert re.findall(r"server (\S+) (\S+) track page/\1", backend(config, "secure_page")) == [
        ("n1", "10.77.0.11:8444"), ("n2", "10.77.0.12:8444"), ("n3", "[fd00::13]:8444"),
    ]  # fmt: skip


def test_whoever_is_passed_on_is_named_soon_let_go_and_never_for_silence() -> None:
    config = proxy("n1", ["n1", "n2"])
    (line,) = re.findall(r"(?m)^  default-server (.*)$", config)
    assert line == "inter 1s fall 2 rise 1 on-marked-down shutdown-sessions send-proxy"
    # Five idle minutes and more; TLS stays closed to it.
    assert re.findall(r"timeout (?:client|server) (\S+)", config) == ["1h", "1h", "2s"]  # the last: keepalived's
    assert "ssl" not in config
    assert "mode tcp" in config


def test_a_machine_that_is_cut_off_asks_its_own_agent() -> None:
    config = proxy("n2", ["n1", "n2"])
    assert "use_backend page_here if { nbsrv(page) eq 0 } { nbsrv(page_here) gt 0 }" in config
    assert "expect rstring cut_off" in backend(config, "page_here")
    assert "server here 10.77.0.12:8001 check" in backend(config, "page_here")
    # A controller without an agent has none.
    assert "_here" not in proxy("n3", ["n1", "n2"])


def test_a_machine_without_ipv6_binds_none() -> None:
    assert "[::]" not in proxy("n1", ["n1"], house_address_ipv6=False)


def test_the_one_address_moves_with_the_proxy() -> None:
    told: dict[str, Any] = {
        "house_address_members": {"n1": "10.77.0.11", "n2": "10.77.0.12"}, "house_address_nodes": ["n1", "n2"],
        "house_address_interface": "eth0", "house_address_router_id": 77, "house_address_shared": "10.77.0.5",
        "app_config_dir": "/etc/pipecatapp",
    }  # fmt: skip
    first, second = (rendered(f"{ROLE}/keepalived.conf.j2", inventory_hostname=node, **told) for node in ("n1", "n2"))
    ranks = [int(re.findall(r"priority (\d+)", text)[0]) for text in (first, second)]
    assert ranks[0] > ranks[1] > ranks[0] - 100, "without its proxy the first one is behind the second"
    assert re.findall(r"unicast_peer \{\n\s+(\S+)\n\s+\}", first) == ["10.77.0.12"]
    asked = re.findall(r'vrrp_script proxy \{\n\s+script "(\S+)"[^}]+weight -100\n\}', first)
    assert asked == ["/etc/pipecatapp/proxy-alive"]
    assert re.search(r"track_script \{\n\s+proxy\n", first)
    # A container is not told which processes end.
    assert "process" not in re.sub(r"#.*", "", first)
    assert re.findall(r"virtual_ipaddress \{\n\s+(\S+)\n", second) == ["10.77.0.5"]


@pytest.mark.parametrize("example", ["pipecatapp", "pipecatapp-shared"])
def test_an_agent_on_a_node_that_is_alone_goes_on_only_where_the_journal_is_shared(example: str) -> None:
    told = yaml.safe_load((ROOT / f"jobs/examples/{example}.yaml").read_text())["variables"]
    job = rendered("jobs/pipecatapp.nomad.j2", job=told)
    shared = told["shared"]
    assert ("  stop_on_client_after " in job) is not shared
    assert ("  lost_after " in job) is shared
    assert f"count = {2 if shared else 1}\n" in job
    assert f'agents = "{2 if shared else 1}"' in job
    assert f"static = {8001 if shared else 8000}\n" in job
    # A standby is well, too: it is asked whether it can answer, not whether it is active.
    assert re.findall(r'path +\= +"(\S+)"', job) == ["/health"]
