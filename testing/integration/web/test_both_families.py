"""A network with IPv6 alone: the page is served there, under a certificate that names the address."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from pipecatapp.web.serving import Servers
from pipecatapp.web.tls import LocalAuthority

pytestmark = pytest.mark.integration


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Says from which address it was asked."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope["client"][0]).encode()})


async def test_both_families_are_listened_on_and_an_address_stays_what_it_is(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "tls")
    servers = Servers(answer, "::", 0, 0, token="t", authority=authority)
    await servers.start()
    try:
        trusted = ssl.create_default_context(cafile=str(authority.files.ca_certificate))
        async with httpx.AsyncClient(trust_env=False, verify=trusted) as http:
            assert (await http.get(f"http://[::1]:{servers.port}/")).text == "::1"
            assert (await http.get(f"http://127.0.0.1:{servers.port}/")).text == "127.0.0.1"
            assert (await http.get(f"https://[::1]:{servers.tls_port}/")).text == "::1"
    finally:
        await servers.stop()
