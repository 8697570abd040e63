"""A proxy carries what leaves the house and nothing else."""

from __future__ import annotations

import httpx
import pytest

from pipecatapp.proxies import is_in_house, settle, settle_index

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8081/v1",
        "http://localhost:8000",
        "http://[::1]:8000/",
        "http://192.168.1.10:8080/v1",
        "http://10.0.0.5",
        "http://172.20.1.1",
        "http://[fd00::2]:8443",
        "http://[fe80::1%25eth0]/",
        "http://core:8080/v1",
        "https://nas.local/models",
        "tower.lan:8080",
        "consul.home.arpa:8500",
        "127.0.0.1:8500",
        "http://[::ffff:192.168.1.10]:8080/v1",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_what_is_in_the_house_needs_no_proxy(url: str) -> None:
    assert is_in_house(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/v1", "http://93.184.216.34/x", "https://[2606:4700::1]/", "https://local.example.org/"],
)
def test_what_is_outside_may_need_one(url: str) -> None:
    assert not is_in_house(url)


def test_both_spellings_are_set_and_the_house_is_left_out() -> None:
    environment: dict[str, str] = {}

    settle("", "http://proxy:3128", "models.example.org", environment)

    assert environment["https_proxy"] == environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert "http_proxy" not in environment
    hosts = environment["NO_PROXY"].split(",")
    assert hosts[0] == "models.example.org"
    assert {"localhost", "127.0.0.1", "::1"} <= set(hosts)
    settle("", "http://proxy:3128", environment["NO_PROXY"], environment)
    assert environment["NO_PROXY"].split(",") == hosts


def test_without_a_proxy_nothing_is_touched() -> None:
    environment = {"NO_PROXY": "a"}

    settle("", "", "b", environment)

    assert environment == {"NO_PROXY": "a"}


def test_our_client_understands_the_list_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    environment: dict[str, str] = {}
    settle("http://proxy:3128", "http://proxy:3128", "", environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with httpx.Client() as client:
        assert isinstance(client._transport_for_url(httpx.URL("https://example.org/")), httpx.HTTPTransport)
        assert client._transport_for_url(httpx.URL("http://127.0.0.1/")) is client._transport
        assert client._transport_for_url(httpx.URL("http://[::1]/")) is client._transport
        assert client._transport_for_url(httpx.URL("https://example.org/")) is not client._transport


HOUSE = "[::1],::1/128, fd00::/8,[2001:470::7]:8080,2001:470:1::/48,203.0.113.0/24,192.168.1.5,nas.example.org"


@pytest.mark.parametrize("proxy", ["", "http://proxy:3128"])
def test_no_way_to_write_the_list_of_hosts_breaks_our_client(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    environment = {"NO_PROXY": HOUSE, "no_proxy": HOUSE}
    settle(proxy, proxy, HOUSE, environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with httpx.Client() as client:
        for direct in ("http://[::1]/", "http://nas.example.org/", "http://192.168.1.5/"):
            assert client._transport_for_url(httpx.URL(direct)) is client._transport
    assert is_in_house("http://[2001:470:1::9]:8081/v1", environment)
    assert is_in_house("http://203.0.113.9/", environment)
    assert not is_in_house("http://[2001:470:2::9]/", environment)
    before = dict(environment)
    settle(proxy, proxy, environment["NO_PROXY"], environment)
    assert environment == before


@pytest.mark.parametrize("proxy", ["socks5h://127.0.0.1:1080", "socks://127.0.0.1:1080", "127.0.0.1:1080"])
def test_a_proxy_that_speaks_socks_ends_nothing(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    environment = {"all_proxy": proxy, "ALL_PROXY": proxy}
    settle("", "http://proxy:3128", "", environment)
    for name in ("all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    httpx.Client().close()
    kept = {"ALL_PROXY": "http://proxy:3128"}
    settle("", "", "", kept)
    assert kept == {"ALL_PROXY": "http://proxy:3128"}


def test_pip_is_told_of_the_index_that_is_set_and_of_nothing_else() -> None:
    environment = {"PIP_CERT": "/mine"}
    settle_index("https://index.example/simple", "", "", environment)
    assert environment == {"PIP_CERT": "/mine", "PIP_INDEX_URL": "https://index.example/simple"}
    settle_index("", "index.example", "/etc/pipecatapp/index-ca.pem", environment)
    assert environment["PIP_TRUSTED_HOST"] == "index.example"
    assert environment["PIP_CERT"] == "/etc/pipecatapp/index-ca.pem"
