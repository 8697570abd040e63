"""One Chromium for all browser tests; for each test a program of its own and a page that is watched.

A page may not ask any other host, break the Content-Security-Policy or throw: the test that does fails at its end.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from testing.fakes.mission import Mission

# No GPU, no network of its own, a fake microphone that beeps, sound without a click before it.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # A name that is not localhost, so that plain http on it is no secure origin.
    "--host-resolver-rules=MAP pc.test 127.0.0.1",
]
# Patient: a test that waits for something right ends at once, also on a machine that has much else to do.
expect.set_options(timeout=30_000)

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

# A person who does not allow the microphone.
REFUSE = """
if (navigator.mediaDevices)
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
"""

# One grey pixel.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////"
    "////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AN//Z"
)
# What must never be more than text.
MARKUP = "<img src=x onerror=alert(1)>"

OpenPage = Callable[..., Awaitable[Page]]


async def open_tab(page: Page, name: str) -> None:
    """Go to a tab of the details."""
    await page.get_by_role("tab", name=name).click()
    await expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def chromium() -> str:
    """The browser that tests use."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("no chromium on the PATH; run scripts/setup")
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def mission(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Mission]:
    mission = Mission(tmp_path, tls=True, allowed_hosts="pc.test")
    await mission.start()
    yield mission
    await mission.stop()
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelname in ("ERROR", "CRITICAL")]
    assert errors == []


class Watch:
    """What pages must not do."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.tolerated: list[str] = []

    def tolerate(self, pattern: str) -> None:
        """The test provokes this complaint itself."""
        self.tolerated.append(pattern)

    def context(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._host(request.url))
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"threw: {error.error}"))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._host(socket.url)))

    def _host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
            "127.0.0.1",
            "localhost",
            "pc.test",
        ):
            self.complaints.append(f"asked another host: {url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") or "Content Security Policy" in message.text:
            self.complaints.append(f"console {message.type}: {message.text}")

    def left(self) -> list[str]:
        return [text for text in self.complaints if not any(re.search(pattern, text) for pattern in self.tolerated)]


@pytest_asyncio.fixture(loop_scope="session")
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    yield watch
    assert watch.left() == []


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, watch: Watch) -> AsyncIterator[OpenPage]:
    """Opens a page at a URL: ``await open_page(url, viewport=PHONE, theme="dark")``."""
    contexts: list[BrowserContext] = []

    async def opening(
        url: str,
        *,
        viewport: dict[str, int] | None = None,
        theme: str = "light",
        microphone: bool = True,
        script: str = "",
        insecure: bool = False,
    ) -> Page:
        size = viewport or DESKTOP
        context = await browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if theme == "dark" else "light",
            permissions=["microphone"] if microphone else [],
            has_touch=size is PHONE,
            ignore_https_errors=insecure,
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        watch.context(context)
        if script:
            await context.add_init_script(script)
        page = await context.new_page()
        await page.goto(url)
        return page

    yield opening
    for context in contexts:
        await context.close()
