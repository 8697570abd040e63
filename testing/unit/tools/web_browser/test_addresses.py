"""Where the browser may go: every way to write a private address that somebody has thought of."""

# ruff: noqa: RUF001, SIM905 (digits of other scripts are what is tested; a table reads better as one text)

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.tools.web_browser.addresses import Rule, as_address, is_public, own_networks, plain_host
from pipecatapp.tools.web_browser.urls import web_address

pytestmark = pytest.mark.unit

PRIVATE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 168.63.129.16
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::10.1.2.3 fe80::1 fe80::1%eth0 febf::1
fc00::1 fd00:ec2::254 fdff::1 fec0::1 ff02::1 ff05::1:3 100::1 2001:db8::1 3fff::1 5f00::1
2001::1 2001:0:7f00:1:: 2002:7f00:1:: 2002:c0a8:101::1 2002:5db8:d822::1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::1 64:ff9b:1:7f00:1::
2606:4700::5efe:10.0.0.1 2606:4700::200:5efe:127.0.0.1 4000::1 e000::1
""".split()
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 93.184.216.34 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1
169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.167.255.255 192.169.0.1 198.17.255.255
198.20.0.1 223.255.255.255 168.63.129.17
2606:4700::1111 2a00:1450:4001::200e 2001:4860:4860::8888 2001:200::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
""".split()
WRITTEN = """
localhost LOCALHOST localhost. foo.localhost printer.local PRINTER.LOCAL. metadata.google.internal x.internal nas
router fritz.lan box.home.arpa pc.home wiki.corp site.intranet a.private x.localdomain
127.1 127.0.1 0 0.0 2130706433 017700000001 0177.0.0.1 0x7f000001 0x7f.1 0X7F.0.0.1 0x7f.0x0.0x0.0x1 127.0.0.1.
3232235777 0xc0a80101 192.168.257 0300.0250.0001.0001 2852039166 0xa9fea9fe
[::1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1] [fe80::1%25eth0] [fd00:ec2::254] [::ffff:169.254.169.254]
127。0。0。1 １２７.０.０.１ ①②⑦.⓪.⓪.① ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ０ｘ７ｆ.１
""".split()


def rule(*allow: str, own: tuple[str, ...] = ()) -> Rule:
    return Rule(allow, own=lambda: [ipaddress.ip_network(network) for network in own])


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_refused(text: str) -> None:
    address = as_address(text)
    assert address is not None
    assert not is_public(address)
    assert "BROWSER_ALLOW_HOSTS" in (rule().refuse_address(address) or "")


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_open(text: str) -> None:
    address = as_address(text)
    assert address is not None
    assert is_public(address)
    assert rule().refuse_address(address) is None
    assert rule().refuse_name(text, 443) is None


@pytest.mark.parametrize("host", WRITTEN)
def test_a_private_host_is_refused_however_it_is_written(host: str) -> None:
    assert rule().refuse_name(host, 80) is not None


@pytest.mark.parametrize(
    "host", ["example.org", "Example.ORG.", "local.example.org", "10.example.com", "1.1.1.1", "dead.beef"]
)
def test_a_public_name_is_open_until_its_addresses_are_known(host: str) -> None:
    assert rule().refuse_name(host, 443) is None


def test_a_host_on_the_list_is_open_on_its_port_alone() -> None:
    some = rule("nas.local:8080", " Printer.local. ", "192.168.1.5", "[fd00::5]:80", "127.0.0.1:9000")
    assert some.refuse_name("nas.local", 8080) is None
    assert some.refuse_name("nas.local", 80) is not None
    assert some.refuse_name("printer.LOCAL", 631) is None
    assert some.refuse_name("192.168.1.5", 1) is None
    assert some.refuse_name("0xc0a80105", 1) is None
    assert some.refuse_name("192.168.1.6", 1) is not None
    assert some.refuse_name("[fd00::5]", 80) is None
    assert some.refuse_name("127.1", 9000) is None
    assert some.refuse_name("localhost", 9000) is not None
    assert rule("", " ").refuse_name("", 80) is not None
    assert rule("http://nas.local:8080/files").refuse_name("nas.local", 8080) is None


def test_the_network_of_this_pc_is_the_house_also_with_public_addresses() -> None:
    house = rule("9.9.9.9", own=("93.184.216.0/24", "2a01:1:2:3::/64"))
    for text in ("93.184.216.34", "2a01:1:2:3::7"):
        assert "network of this PC" in (house.refuse_address(ipaddress.ip_address(text)) or "")
        assert house.refuse_name(text, 80) is not None
    assert house.refuse_address(ipaddress.ip_address("93.184.217.34")) is None
    assert house.refuse_address(ipaddress.ip_address("2a01:1:2:4::7")) is None


def test_the_own_networks_come_from_the_tables_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n"
    )
    (tmp_path / "fib_trie").write_text(
        "  |-- 192.168.2.7\n     /32 host LOCAL\n  |-- 192.168.2.255\n     /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text("2a010001000200030000000000000007 02 40 00 80     eth0\n")
    assert [str(network) for network in own_networks(tmp_path)] == [
        "192.168.2.0/24",
        "192.168.2.7/32",
        "2a01:1:2:3::/64",
    ]
    assert own_networks(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("example.org", "https://example.org"),
        (" www.Example.org/a?b=c#d ", "https://www.example.org/a?b=c#d"),
        ("http://example.org:8080/x", "http://example.org:8080/x"),
        ("nas:8080/x", "https://nas:8080/x"),
        ("//example.org/x", "https://example.org/x"),
        ("HTTPS://EXAMPLE.org", "https://example.org"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("<https://example.org>", "https://example.org"),
    ],
)
def test_what_is_said_becomes_a_url(said: str, url: str) -> None:
    assert web_address(said) == url


@pytest.mark.parametrize(
    "said",
    [
        "", "file:///etc/passwd", "FILE:/etc/passwd", "javascript:alert(1)", "data:text/html,x", "chrome://version",
        "view-source:https://example.org", "about:blank", "ftp://example.org/", "blob:https://example.org/1",
        "https://good.example\\@evil.example/", "https://user:word@example.org/", "https://good.example@evil.example",
        "https://exam ple.org", "https://example.org/a\nb", "https://", "https:///x", "http://[::1", "https://a:99999/",
        "https://exa%6dple.org/", "https://" + "a" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(said: str) -> None:
    with pytest.raises(ToolError):
        web_address(said)


def test_hosts_are_read_as_a_browser_reads_them() -> None:
    assert plain_host("[2001:DB8::1]") == "2001:db8::1"
    assert plain_host("127.1") == "127.0.0.1"
    assert plain_host("Example.ORG.") == "example.org"
