"""The house stays closed to ``web_browser.*`` and to every page that it opens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pipecatapp.errors import ToolError
from testing.fakes.website import PUBLIC, Answer
from testing.ui.web_browser.web import SHOP, Web, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/", "http://0x7f000001:{port}/", "http://2130706433:{port}/",
        "http://0177.1:{port}/", "http://127.1:{port}/", "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/", "metadata.google.internal/computeMetadata/v1/", "pc.local:{port}/",
        "file:///etc/passwd", "chrome://settings", "javascript:alert(1)",
        "view-source:http://127.0.0.1:{port}/",
    ],
)  # fmt: skip
async def test_a_private_address_is_not_even_asked_about(web: Web, url: str) -> None:
    with pytest.raises(ToolError):
        await web.preview("goto", url=url.format(port=web.house.port))
    assert web.house.connections == 0


async def test_a_name_that_leads_into_the_house_is_refused_with_the_reason(web: Web) -> None:
    assert "house.test leads into the house" in await web.refused("goto", url=f"http://house.test:{web.house.port}/")
    assert "house.test leads into the house" in await web.refused("read")
    assert web.house.connections == 0


async def test_no_redirect_leads_into_the_house(web: Web) -> None:
    port = web.house.port
    for target in (f"http://127.0.0.1:{port}/x", f"http://house.test:{port}/x", f"http://2130706433:{port}/"):
        web.site.page("/go", "", status=302, headers={"Location": target})
        assert "BROWSER_ALLOW_HOSTS" in await web.refused("goto", url="http://shop.test/go")
    before = web.browser.asked.count(("127.0.0.1", port))
    await web.show(f"<title>x</title><meta http-equiv=refresh content='4;url=http://127.0.0.1:{port}/'><p>wait")
    async with asyncio.timeout(30):
        while web.browser.asked.count(("127.0.0.1", port)) <= before:
            await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)
    assert "private address" in await web.refused("read")
    at_once = serve(web, f"<title>x</title><script>location.href = 'http://127.0.0.1:{port}/'</script>")
    assert "private address" in await web.refused("goto", url=at_once)
    await web.show(f"<a href=http://house.test:{port}/>Go</a>")
    assert "leads into the house" in await web.refused("click", target="Go")
    assert web.house.connections == 0


async def test_a_name_that_changes_its_mind_does_not_open_the_house(web: Web) -> None:
    web.names.set("rebind.test", [PUBLIC], ["127.0.0.1"])
    port = web.house.port
    asks = f"fetch('http://rebind.test:{port}/secret')"
    script = f"{asks}.then(r => r.text()).then(t => out.textContent = 'got ' + t, e => out.textContent = 'failed')"
    web.site.page("/", f"<title>r</title><p id=out>waiting<script>{script}</script>")
    await web.do("goto", url=f"http://rebind.test:{port}/")
    await asyncio.sleep(1)
    assert "failed" in (await web.do("read")).text
    assert web.house.connections == 0


async def test_nothing_on_a_page_reaches_the_house(web: Web) -> None:
    port = web.house.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        stun = udp.getsockname()[1]
        there = [f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"house.test:{port}"]
        tags = "".join(
            f"<img src=http://{at}/i><iframe width=1 height=1 src=http://{at}/f></iframe><script src=http://{at}/s></script>"
            f"<link rel=stylesheet href=http://{at}/c><link rel=prefetch href=http://{at}/p><video src=http://{at}/v></video>"
            f"<link rel=preconnect href=http://{at}/><link rel=dns-prefetch href=http://{at}/><object data=http://{at}/o></object>"
            for at in there
        )
        calls = "".join(
            f"fetch('http://{at}/fetch',{{mode:'no-cors'}}).catch(()=>0); navigator.sendBeacon('http://{at}/b');"
            f"try {{ new WebSocket('ws://{at}/w') }} catch {{}} try {{ new EventSource('http://{at}/e') }} catch {{}}"
            f"try {{ const x = new XMLHttpRequest(); x.open('POST','http://{at}/x'); x.send('1') }} catch {{}}"
            for at in there
        )
        worker = f"new Worker(URL.createObjectURL(new Blob([\"fetch('http://127.0.0.1:{port}/wk')\"])));"
        udp_of = (
            "const f = document.body.appendChild(document.createElement('iframe'));"
            "for (const W of [window, f.contentWindow]) {"
            f"try {{ const c = new W.RTCPeerConnection({{iceServers:[{{urls:'stun:127.0.0.1:{stun}'}}]}});"
            "c.createDataChannel('a'); c.createOffer().then(o => c.setLocalDescription(o)) } catch {}"
            f"try {{ new W.WebTransport('https://127.0.0.1:{stun}/') }} catch {{}} }}"
        )
        web.names.set("cross.test", [PUBLIC])
        web.site.pages["/ran"] = Answer("ok")
        await web.show(
            f"<title>t</title><p>text{tags}<script>try {{{calls}{worker}{udp_of}}} finally {{fetch('/ran')}}</script>"
        )
        await asyncio.sleep(2)
        assert "GET /ran" in web.site.requests
        with pytest.raises(BlockingIOError):
            udp.recv(1)
    assert web.house.connections == 0


async def test_chromium_asks_for_nothing_that_the_page_did_not_ask_for(web: Web) -> None:
    await web.show(SHOP)
    strange = {host for host, _ in web.browser.asked if not host.endswith(".test")}
    assert strange <= {"127.0.0.1", "::1", "localhost"}
