"""One Chromium for all tests of ``web_browser.*``; for each of them fresh pages and names."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pipecatapp.tools.web_browser.addresses import Rule
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.tools.web_browser.timeouts import Timeouts
from pipecatapp.web.tls import LocalAuthority
from testing.fakes.website import PUBLIC, Names, leading_to, running_website
from testing.ui.web_browser.web import Web


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    folder = tmp_path_factory.mktemp("browser")
    authority = LocalAuthority(folder / "tls")
    authority.ensure(["shop.test"], ["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.files.certificate, authority.files.key)
    async with running_website() as site, running_website(tls) as secure, running_website() as house:
        names = Names()
        allowed = f"127.0.0.1:{site.port}"
        pictures = folder / "pictures"
        browser = WebBrowser(
            Pictures(pictures, most=3),
            rule=Rule([allowed], own=list),
            resolve=names.resolve,
            connect=leading_to(site, secure),
            timeouts=Timeouts(answer=15, parsed=2, complete=2),
        )
        yield Web(browser, site, secure, house, names, pictures)
        await browser.aclose()


@pytest.fixture
def web(everything: Web) -> Web:
    """The same for every test, with fresh pages and names."""
    everything.site.pages.clear()
    everything.site.requests.clear()
    everything.house.connections = 0
    for host in ("shop.test", "pay.test", "other.test"):
        everything.names.set(host, [PUBLIC])
    everything.names.set("house.test", ["127.0.0.1"])
    return everything
