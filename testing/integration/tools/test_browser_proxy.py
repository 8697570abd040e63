"""The browser's way out, asked byte by byte: what it connects to, what it refuses, what it says of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipecatapp.tools.web_browser.addresses import Rule
from pipecatapp.tools.web_browser.proxy import FilterProxy
from testing.fakes.website import PUBLIC, Names, Website, leading_to, running_website

pytestmark = pytest.mark.integration

DONE, FORBIDDEN, UNREACHABLE, NOT_SUPPORTED = 0, 2, 4, 7


@asynccontextmanager
async def proxied(names: Names, site: Website, *allow: str) -> AsyncIterator[FilterProxy]:
    proxy = FilterProxy(Rule(allow, own=list), names.resolve, leading_to(site))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.aclose()


def name(host: str) -> bytes:
    return bytes((3, len(host))) + host.encode()


async def ask(proxy: FilterProxy, destination: bytes, port: int, *, command: int = 1) -> tuple[int, str]:
    """The proxy's reply, and what the site said when the connection came about."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(b"\x05\x01\x00")
        assert await reader.readexactly(2) == b"\x05\x00"
        writer.write(bytes((5, command, 0)) + destination + port.to_bytes(2, "big"))
        code = (await reader.readexactly(10))[1]
        if code != DONE:
            assert await reader.read() == b""
            return code, ""
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        return code, (await reader.read()).rpartition(b"\r\n\r\n")[2].decode()
    finally:
        writer.close()


async def test_a_public_name_is_connected_by_the_address_that_was_checked() -> None:
    async with running_website() as site, proxied(Names(shop_test=[[PUBLIC]]), site) as proxy:
        site.page("/", "hello")
        assert await ask(proxy, name("shop.test"), 80) == (DONE, "hello")
        assert proxy.trouble("shop.test", 80) == ""
        assert list(proxy.asked) == [("shop.test", 80)]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["127.0.0.1"], "house.test leads into the house: 127.0.0.1 is a private address"),
        (["169.254.169.254"], "private address"),
        (["::1"], "private address"),
        (["fe80::1%eth0"], "private address"),
        ([PUBLIC, "10.0.0.1"], "10.0.0.1 is a private address"),
        (["::ffff:192.168.1.1"], "private address"),
        (["nonsense"], "nonsense is no address"),
    ],
)
async def test_a_name_that_leads_into_the_house_is_refused(answers: list[str], told: str) -> None:
    async with running_website() as site, proxied(Names(house_test=[answers]), site) as proxy:
        assert await ask(proxy, name("house.test"), site.port) == (FORBIDDEN, "")
        assert told in proxy.trouble("house.test", site.port)
        assert site.connections == 0


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    names = Names(rebind_test=[[PUBLIC], ["127.0.0.1"], [PUBLIC]])
    async with running_website() as site, running_website() as house, proxied(names, site) as proxy:
        site.page("/", "hello")
        assert await ask(proxy, name("rebind.test"), house.port) == (DONE, "hello")
        assert (await ask(proxy, name("rebind.test"), house.port))[0] == FORBIDDEN
        assert await ask(proxy, name("rebind.test"), house.port) == (DONE, "hello")
        assert house.connections == 0
        assert proxy.trouble("rebind.test", house.port) == ""


@pytest.mark.parametrize(
    "destination",
    [
        name("127.0.0.1"), name("localhost"), name("2130706433"), name("::1"), name("[::1]"), name(""), name("nas"),
        b"\x01\x7f\x00\x00\x01", b"\x04" + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1"),
    ],
)  # fmt: skip
async def test_a_private_destination_is_refused_without_asking_for_a_name(destination: bytes) -> None:
    async with running_website() as site, proxied(Names(), site) as proxy:
        assert await ask(proxy, destination, site.port) == (FORBIDDEN, "")
        assert site.connections == 0


async def test_a_host_on_the_list_is_reached() -> None:
    async with running_website() as site, running_website() as house:
        house.page("/", "at home")
        names = Names(nas_local=[["127.0.0.1"]])
        async with proxied(names, site, f"127.0.0.1:{house.port}", "nas.local") as proxy:
            assert await ask(proxy, name("127.0.0.1"), house.port) == (DONE, "at home")
            assert await ask(proxy, name("nas.local"), house.port) == (DONE, "at home")
            assert (await ask(proxy, name("127.0.0.1"), site.port))[0] == FORBIDDEN


async def test_what_does_not_answer_is_said() -> None:
    names = Names(closed_test=[["127.0.0.1"]], empty_test=[[]])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with running_website() as site, proxied(names, site, "closed.test") as proxy:
            for host, told in (
                ("absent.test", "there is no host named absent.test"),
                ("empty.test", "there is no host named empty.test"),
                ("closed.test", f"closed.test refuses connections on port {port}"),
            ):
                assert (await ask(proxy, name(host), port))[0] == UNREACHABLE
                assert proxy.trouble(host, port) == told


@pytest.mark.parametrize("command", [2, 3])
async def test_it_neither_listens_nor_forwards_udp(command: int) -> None:
    async with running_website() as site, proxied(Names(shop_test=[[PUBLIC]]), site) as proxy:
        assert (await ask(proxy, name("shop.test"), 80, command=command))[0] == NOT_SUPPORTED
        assert site.connections == 0


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x04\x01", b"\x05\x00", b"\x05\x01\x02", b"\x05\x01\x00\x05\x01\x00\x09"],
)
async def test_what_is_no_socks_gets_nothing(nonsense: bytes) -> None:
    async with running_website() as site, proxied(Names(), site) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(nonsense)
        writer.write_eof()
        assert await reader.read() in (b"", b"\x05\x00")
        writer.close()
        assert site.connections == 0


async def test_the_end_of_the_proxy_ends_its_connections() -> None:
    async with running_website() as site:
        proxy = FilterProxy(Rule(own=list), Names(shop_test=[[PUBLIC]]).resolve, leading_to(site))
        await proxy.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"\x05\x01\x00" + b"\x05\x01\x00" + name("shop.test") + (80).to_bytes(2, "big"))
        await reader.readexactly(12)
        await proxy.aclose()
        assert await reader.read() == b""
        writer.close()


async def test_large_answers_come_through_whole() -> None:
    async with running_website() as site, proxied(Names(shop_test=[[PUBLIC]]), site) as proxy:
        site.page("/", "x" * 3_000_000)
        code, body = await ask(proxy, name("shop.test"), 80)
        assert (code, len(body)) == (DONE, 3_000_000)
