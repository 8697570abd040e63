"""Which names and origins are this machine's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.addresses import host_names
from pipecatapp.web.hosts import HostRule, allowed_names, parse_allowed, parse_host, parse_origin, parse_proxies

pytestmark = pytest.mark.unit

RULE = HostRule(parse_allowed("nas.example, https://assistant.example"), names=lambda: ["pc", "pc.fritz.box"])


@pytest.mark.parametrize(
    "host",
    [
        "pc", "PC:8000", "pc.local", "pc.lan:8443", "pc.home.arpa", "pc.fritz.box", "localhost:8000", "x.localhost",
        "127.0.0.1", "10.0.0.5:8000", "[::1]:8000", "[2001:db8::1]", "nas.example:80", "assistant.example", "pc.",
    ],
)  # fmt: skip
def test_its_names_and_every_address_are_known(host: str) -> None:
    rule = HostRule(
        parse_allowed("nas.example, https://assistant.example"), names=lambda: ["pc", "pc.fritz.box", "localhost"]
    )
    assert rule.knows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "pc.evil.example", "evil.example:8000", "localhost.evil.example", "nas.example.evil.example",
        "", "[", "[::1", "a b", "pc:99999999", "pc:8000:1", "user@pc", "pc/..", "pc\r\nx: y", "127.0.0.1.evil.example",
    ],
)  # fmt: skip
def test_no_other_name_is(host: str) -> None:
    assert not RULE.knows(host)


@pytest.mark.parametrize(
    ("origin", "secure", "host", "port", "ours"),
    [
        ("http://pc:8000", False, "pc:8000", 8000, True),
        ("https://pc:8443", True, "pc:8443", 8443, True),
        ("https://PC:8443", True, "pc:8443", 8443, True),
        ("https://pc", True, "pc", 443, True),
        ("https://pc:8000", False, "pc:8000", 8000, False),
        ("http://pc:8443", True, "pc:8443", 8443, False),
        ("http://pc:3000", False, "pc:8000", 8000, False),
        # A name that was allowed: on our own port and scheme only.
        ("http://nas.example:8000", False, "10.0.0.5:8000", 8000, True),
        ("http://nas.example:3000", False, "10.0.0.5:8000", 8000, False),
        ("http://nas.example", False, "10.0.0.5:8000", 8000, False),
        ("https://nas.example:8000", False, "10.0.0.5:8000", 8000, False),
        # Where a proxy serves the page: exactly there.
        ("https://assistant.example", False, "10.0.0.5:8000", 8000, True),
        ("https://assistant.example:443", False, "assistant.example", 8000, True),
        ("https://assistant.example:444", False, "10.0.0.5:8000", 8000, False),
        ("http://assistant.example", False, "10.0.0.5:8000", 8000, False),
        ("http://evil.example", False, "pc:8000", 8000, False),
        ("null", False, "pc:8000", 8000, False),
        ("http://[", False, "pc:8000", 8000, False),
        ("http://pc:8000/path", False, "pc:8000", 8000, False),
        ("http://user@pc:8000", False, "pc:8000", 8000, False),
    ],
)
def test_a_page_is_ours_by_scheme_host_and_port(origin: str, secure: bool, host: str, port: int, ours: bool) -> None:
    assert RULE.is_ours(origin, secure=secure, host=host, port=port) is ours


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_header_breaks_the_parsers(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://pc:{text}", f"[{text}]"):
        parse_origin(candidate)
        parse_host(candidate)
        RULE.knows(candidate)
        RULE.is_ours(candidate, secure=False, host=candidate, port=8000)


def test_the_names_of_the_machine_are_read_again_when_one_is_not_known() -> None:
    names, now = ["pc"], [0.0]
    rule = HostRule(names=lambda: names, clock=lambda: now[0])
    assert not rule.knows("pc.fritz.box")
    names.append("pc.fritz.box")
    assert not rule.knows("pc.fritz.box")
    now[0] = 11.0
    assert rule.knows("pc.fritz.box")


@pytest.mark.parametrize("entry", ["nas.example:8000", "*", "http://", "https://nas/path", "ftp://nas", "a b", "[::1]"])
def test_an_allowed_host_that_is_neither_name_nor_origin_refuses_to_start(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WEB_ALLOWED_HOSTS.*https://assistant\.example"):
        parse_allowed(f"pc.example, {entry}")


def test_the_names_among_the_allowed_hosts_go_into_links_and_certificates() -> None:
    assert allowed_names(parse_allowed("NAS.example, https://a.example:444,, https://a.example/")) == [
        "nas.example",
        "a.example",
    ]


def test_proxies_are_addresses_or_networks() -> None:
    assert [str(network) for network in parse_proxies("127.0.0.1, fd00::/64")] == ["127.0.0.1/32", "fd00::/64"]
    with pytest.raises(ConfigurationError, match="WEB_TRUSTED_PROXIES"):
        parse_proxies("proxy.example")


def test_the_machine_has_a_name_in_the_domain_of_its_network(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 10.0.0.1\n# search not.this\nsearch fritz.box ../x \xff example.org.\n")
    names = host_names(resolver=resolver)

    assert [name for name in names if name.endswith((".fritz.box", ".example.org", "x"))] == [
        f"{names[1] if '.' in names[0] else names[0]}.fritz.box",
        f"{names[1] if '.' in names[0] else names[0]}.example.org",
    ]
    assert host_names(resolver=tmp_path / "absent")
