"""Chromium: started when a page is first opened, a tab for each conversation, ended when nobody uses it.

Importing this file does not need Playwright; starting does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipecatapp.errors import ToolError
from pipecatapp.tools.web_browser.addresses import Rule
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.tools.web_browser.proxy import Connect, FilterProxy, Resolve
from pipecatapp.tools.web_browser.timeouts import USUAL, Timeouts

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

    from pipecatapp.tools.web_browser.tab import Tab

logger = logging.getLogger(__name__)

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_S = 60.0  # an old disk
_STOP_S = 2.0
_MOST_TABS = 3
_NICE = 10
_FIRST_TO_GO = 500
_NOWHERE = "http://localhost:9"  # the proxy refuses it

_FLAGS = (
    # The proxy is the only way out, also to loopback; Chromium itself resolves no name and speaks no UDP.
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    # Nothing is asked that the person did not ask for.
    f"--gaia-url={_NOWHERE}",
    f"--google-apis-url={_NOWHERE}",
    f"--google-base-url={_NOWHERE}",
    f"--autofill-server-url={_NOWHERE}",
    f"--component-updater=url-source={_NOWHERE}",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    # Nothing is granted, and what old PCs cannot do well is left out.
    "--deny-permission-prompts",
    "--disable-notifications",
    "--disable-3d-apis",
    "--disable-gpu",
    "--disable-print-preview",
    "--disable-speech-api",
    "--renderer-process-limit=4",
    # A script that wants more ends with its page. The PC has 8 GB, and a language model in it.
    "--js-flags=--max-old-space-size=512",
)
# Playwright turns these protections of Chromium off for the sake of tests.
_UNWANTED = ("--disable-popup-blocking", "--disable-ipc-flooding-protection", "--enable-unsafe-swiftshader")
# Where a page could still ask for what is not granted, or for UDP, it finds nothing.
_WITHOUT = (
    "for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport']) delete globalThis[name];"
)


@dataclass(slots=True)
class _Running:
    """What belongs to one run of Chromium."""

    playwright: Playwright
    browser: Browser
    proxy: FilterProxy
    home: tempfile.TemporaryDirectory[str]
    pid: int | None
    watch: asyncio.Task[None] | None = None
    tabs: dict[str, Tab] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)


class WebBrowser:
    """The browser of all conversations.

    Args:
        pictures: where screenshots go.
        executable: the Chromium; empty: the one on the PATH.
        allow_hosts: private hosts that may be opened.
        timeouts: how long it waits for what.
        rule, resolve, connect: the network, for tests.
    """

    def __init__(
        self,
        pictures: Pictures,
        executable: str = "",
        allow_hosts: Sequence[str] = (),
        *,
        timeouts: Timeouts = USUAL,
        rule: Rule | None = None,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
    ) -> None:
        self.pictures = pictures
        self.rule = Rule(allow_hosts) if rule is None else rule
        self._executable = executable
        self._timeouts = timeouts
        self._resolve = resolve
        self._connect = connect
        self._running: _Running | None = None
        self._changing = asyncio.Lock()

    def missing(self) -> str:
        """What must be installed first, as a sentence with the commands; empty when all is there."""
        commands = []
        if importlib.util.find_spec("playwright") is None:
            commands.append("sudo pipecatapp extras install browser")
        if self._chromium() is None:
            if self._executable:
                return f"BROWSER_EXECUTABLE {self._executable} is no program; remove it, or name a Chromium"
            commands.append("sudo apt-get install chromium")
        return f"it needs a browser; run: {' && '.join(commands)}" if commands else ""

    @property
    def asked(self) -> list[tuple[str, int]]:
        """The hosts that Chromium wanted to reach lately."""
        return list(self._running.proxy.asked) if self._running is not None else []

    @property
    def pid(self) -> int | None:
        """Chromium's process, while it runs."""
        return self._running.pid if self._running is not None else None

    @asynccontextmanager
    async def tab(self, conversation: str, *, new: bool = False) -> AsyncIterator[Tab]:
        """The conversation's tab, for one user at a time.

        Raises:
            ToolError: it has none (and ``new`` does not ask for one), or the browser does not start.
        """
        async with self._changing:
            running = await self._started(new)
            tab = running.tabs.get(conversation) if running is not None else None
            if running is None or ((tab is None or tab.gone) and not new):
                raise ToolError("there is no open page; open one first")
            if tab is None or tab.gone:
                tab = await self._new_tab(running, conversation)
            running.used[conversation] = time.monotonic()
        try:
            async with tab.lock:
                yield tab
        finally:
            running.used[conversation] = time.monotonic()

    async def aclose(self) -> None:
        """End Chromium, within a few seconds."""
        async with self._changing:
            await self._stop()

    # --- start and end

    async def _started(self, new: bool) -> _Running | None:
        if self._running is not None and not self._running.browser.is_connected():
            logger.warning("Chromium ended by itself")
            await self._stop()
        if self._running is None and new:
            self._running = await self._start()
            self._running.watch = asyncio.create_task(self._watch(self._running), name="idle browser")
        return self._running

    async def _start(self) -> _Running:
        from playwright.async_api import Error as PlaywrightError
        from playwright.async_api import async_playwright

        if missing := self.missing():
            raise ToolError(missing)
        async with AsyncExitStack() as undo:
            proxy = FilterProxy(self.rule, self._resolve, self._connect)
            await proxy.start()
            undo.push_async_callback(proxy.aclose)
            home = tempfile.TemporaryDirectory(prefix="pipecatapp-browser-", ignore_cleanup_errors=True)
            undo.callback(home.cleanup)
            playwright = await async_playwright().start()
            undo.push_async_callback(playwright.stop)
            server = f"socks5://127.0.0.1:{proxy.port}"
            try:
                browser = await playwright.chromium.launch(
                    executable_path=self._chromium(),
                    # Chromium has no sandbox for root. The installed service is not root.
                    chromium_sandbox=os.geteuid() != 0,
                    proxy={"server": server},
                    args=_FLAGS,
                    ignore_default_args=_UNWANTED,
                    # Not our own environment: there are secrets in it.
                    env={"HOME": home.name, "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                    timeout=_START_S * 1000,
                )
            except PlaywrightError as error:
                logger.error("Chromium does not start: %s", error.message)
                if "sandbox" in error.message:
                    raise ToolError("Chromium does not start: the kernel gives it no sandbox here") from error
                raise ToolError("Chromium does not start; the reason is in the log") from error
            pid = await asyncio.to_thread(_find_process, f"--proxy-server={server}")
            if pid is not None:
                _step_back(pid)
            undo.pop_all()
            return _Running(playwright, browser, proxy, home, pid)

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        from playwright.async_api import Error as PlaywrightError

        if running.watch is not None and running.watch is not asyncio.current_task():
            running.watch.cancel()
        try:
            async with asyncio.timeout(_STOP_S):
                await running.browser.close()
        except TimeoutError:
            logger.warning("Chromium did not end when it was told to")
        except PlaywrightError as error:
            logger.debug("Chromium had ended already: %s", error.message)
        if running.pid is not None and running.browser.is_connected():
            with suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await running.playwright.stop()
        await running.proxy.aclose()
        await asyncio.to_thread(running.home.cleanup)

    # --- tabs

    async def _new_tab(self, running: _Running, conversation: str) -> Tab:
        from playwright.async_api import Error as PlaywrightError

        from pipecatapp.tools.web_browser.tab import CRASHED, Tab

        running.tabs = {name: tab for name, tab in running.tabs.items() if not tab.gone}
        while len(running.tabs) >= _MOST_TABS:
            oldest = min(running.tabs, key=lambda name: running.used.get(name, 0.0))
            await running.tabs.pop(oldest).aclose()
        try:
            async with asyncio.timeout(_START_S):
                context = await running.browser.new_context(
                    accept_downloads=False,
                    service_workers="block",
                    permissions=[],
                    viewport={"width": 1280, "height": 800},
                    reduced_motion="reduce",
                )
                await context.add_init_script(_WITHOUT)
                tab = await Tab.create(context, running.proxy.trouble, lambda: self._kill(running), self._timeouts)
        except (TimeoutError, PlaywrightError) as error:
            await self._stop()
            raise ToolError(CRASHED) from error
        running.tabs[conversation] = tab
        return tab

    def _kill(self, running: _Running) -> None:
        """A page that cannot be closed ends with all of Chromium."""
        logger.warning("a page cannot be closed; Chromium is ended")
        if running.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)

    async def _watch(self, running: _Running) -> None:
        """Close what nobody uses."""
        while True:
            await asyncio.sleep(self._timeouts.idle / 4)
            async with self._changing:
                old = time.monotonic() - self._timeouts.idle
                for name, tab in list(running.tabs.items()):
                    if tab.gone or (running.used.get(name, 0.0) < old and not tab.lock.locked()):
                        del running.tabs[name]
                        if not tab.gone:
                            await tab.aclose()
                if not running.tabs:
                    if self._running is running:
                        await self._stop()
                    return

    def _chromium(self) -> str | None:
        if self._executable:
            return shutil.which(self._executable)
        return next((found for name in _NAMES if (found := shutil.which(name))), None)


def _find_process(argument: str) -> int | None:
    """The first process with this argument on its command line: Chromium, whose proxy nobody else has."""
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with suppress(OSError):
            if argument.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return int(folder.name)
    return None


def _step_back(pid: int) -> None:
    """Give Chromium what is left of the processor and of the memory: a page must not make the voice stutter, and where
    memory runs out it goes before the language model does."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(f"{_FIRST_TO_GO}\n", encoding="ascii")
    with suppress(OSError):
        group = os.getpgid(pid)
        if group != os.getpgid(0):
            os.setpriority(os.PRIO_PGRP, group, _NICE)
