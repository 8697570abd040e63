"""One conversation's page. Whatever the page does, each method ends in time, with a result or a ToolError."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from playwright.async_api import BrowserContext, CDPSession, Dialog, Download, Frame, Page, Request
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from pipecatapp.background import BackgroundTasks
from pipecatapp.errors import ToolError
from pipecatapp.tools.web_browser.errors import endpoint_of, explain, host_of
from pipecatapp.tools.web_browser.reading import Element, Reading, clipped
from pipecatapp.tools.web_browser.timeouts import Timeouts

logger = logging.getLogger(__name__)

CRASHED = "the page made the browser crash; it starts afresh when you open a page"
BUSY = "the page keeps the browser busy and does not let itself be used, so I closed it"
NAGGING = "the page opened one message box after the other, so I closed it"

_LOOK = (files(__package__) / "page_snapshot.js").read_text(encoding="utf-8")
_WORLD = "pipecatapp"
_ACT_S = 20.0
_PICTURE_S = 20.0
_BEGIN_S = 0.4  # in which a click makes a page begin to load another
_CLOSE_S = 4.0
_ALIVE_S = 5.0
_MOST_DIALOGS = 10
_MOST_PREVIEWS = 20


@dataclass(frozen=True, slots=True)
class Found:
    """An element with the number that page_snapshot.js holds it under, on one page (``born``)."""

    born: str
    held: int
    element: Element


class Tab:
    """A page in a context of its own (cookies, storage).

    Args:
        context: the context.
        page: its only page.
        trouble: why the proxy did not connect to a host.
        stuck: called when the page cannot even be closed.
        timeouts: how long it waits.
    """

    def __init__(
        self,
        context: BrowserContext,
        page: Page,
        cdp: CDPSession,
        trouble: Callable[[str, int], str],
        stuck: Callable[[], None],
        timeouts: Timeouts,
    ) -> None:
        self._timeouts = timeouts
        self._context = context
        self._page = page
        self._cdp = cdp
        self._trouble = trouble
        self._stuck = stuck
        self._gone = ""
        self._dialogs = 0
        self._loading = False
        self._downloads = 0
        self._failed: tuple[str, str] | None = None
        self._popup = ""
        self._background = BackgroundTasks("an event of a page could not be dealt with")
        self.previews: dict[str, Found] = {}
        self.lock = asyncio.Lock()
        page.on("crash", lambda _: self._lose(CRASHED))
        page.on("close", lambda _: self._lose(CRASHED))
        page.on("dialog", self._dismiss)
        page.on("request", self._began)
        page.on("requestfailed", self._broke)
        page.on("framenavigated", self._arrived)
        page.on("download", self._refuse_download)
        context.on("page", self._fold)

    @classmethod
    async def create(
        cls,
        context: BrowserContext,
        trouble: Callable[[str, int], str],
        stuck: Callable[[], None],
        timeouts: Timeouts,
    ) -> Tab:
        """A tab with an empty page."""
        page = await context.new_page()
        return cls(context, page, await context.new_cdp_session(page), trouble, stuck, timeouts)

    @property
    def gone(self) -> bool:
        """Whether the page is closed or crashed."""
        return bool(self._gone)

    async def answers(self) -> bool:
        """Whether the page that is open lets the browser go on; one that computes for ever does not."""
        try:
            async with asyncio.timeout(_ALIVE_S):
                await self._call("about")
        except (TimeoutError, PlaywrightError):
            return False
        return True

    async def open(self, url: str) -> tuple[Reading, str]:
        """Go to a URL; returns the page and what must be said of the way it answered.

        Raises:
            ToolError: it cannot be opened.
        """
        self.previews.clear()
        self._dialogs = 0
        async with self._in_time(
            self._timeouts.answer + self._timeouts.parsed + self._timeouts.complete + self._timeouts.read
        ):
            status, note = await self._go(url), ""
            if status is not None and status >= 400:
                note = f"The server answered with error {status}."
            if not await self._settled():
                note = "It is still loading."
            return await self._read(), note

    async def read(self) -> Reading:
        """The page as it is now; its elements have these numbers from now on."""
        async with self._in_time(2 * self._timeouts.read):
            return await self._read()

    async def picture(self) -> tuple[bytes, str]:
        """What a person would see, as PNG, and the host that it is of."""
        async with self._in_time(_PICTURE_S):
            about = await self._call("about")
            self._must_show(about)
            # Not Playwright's own: it waits for fonts, and a page can let it wait for ever.
            taken = await self._cdp.send("Page.captureScreenshot", {"format": "png"})
            return base64.b64decode(taken["data"]), host_of(str(about["url"]))

    async def find(self, target: str, *, field: bool = False) -> Found:
        """What a number or words mean on this page.

        Raises:
            ToolError: nothing, or more than one thing.
        """
        async with self._in_time(self._timeouts.read):
            answer = await self._call("find", target, field)
            self._must_show(answer)
        found = [Found(answer["born"], int(raw["held"]), Element.read(raw)) for raw in answer["found"]]
        what = "field" if field else "link or button"
        if answer.get("gone"):
            raise ToolError(f"number {target} is not what it was when I read the page; read it again")
        if not found:
            raise ToolError(f"this page has no {what} called '{clipped(target, 60)}'; read the page to see what it has")
        if len({one.element for one in found}) > 1:
            names = ", ".join(dict.fromkeys(f"{one.element.name} ({one.element.role})" for one in found))
            raise ToolError(f"several things fit '{clipped(target, 60)}': {names}; read the page and give the number")
        return found[0]

    def remember(self, call: str, found: Found) -> None:
        """Keep what a person is asked about, until the call runs."""
        self.previews[call] = found
        while len(self.previews) > _MOST_PREVIEWS:
            del self.previews[next(iter(self.previews))]

    def recall(self, call: str) -> Found:
        """What the person was asked about.

        Raises:
            ToolError: nobody was asked on this page.
        """
        found = self.previews.pop(call, None)
        if found is None:
            raise ToolError("another page was opened since you were asked, so I did nothing; ask me again")
        return found

    async def same(self, found: Found) -> None:
        """Make sure that an element is what it was.

        Raises:
            ToolError: it is gone, or it changed.
        """
        async with self._in_time(self._timeouts.read):
            raw = await self._call("now", found.born, found.held)
        if raw is None:
            raise ToolError(f"the page changed since, and {found.element.name} is gone, so I did nothing")
        if Element.read(raw) != found.element:
            raise ToolError(f"{found.element.name} changed since I told you of it, so I did nothing")

    async def click(self, found: Found) -> str:
        """Click; returns the title of the page that came of it, empty when it is the same page."""
        before = self._page.url
        self._popup = ""
        downloads = self._downloads
        async with self._in_time(_ACT_S + self._timeouts.answer):
            spot = await self._call("point", found.held)
            if spot is None:
                raise ToolError(f"something lies over {found.element.name}, so it cannot be clicked")
            await self._page.mouse.click(spot["x"], spot["y"])
            await asyncio.sleep(_BEGIN_S)
            if self._loading:
                await self._settled()
            elif self._popup:
                await self._go(self._popup)
                await self._settled()
            if self._downloads > downloads:
                raise ToolError("that is a file to download, and downloads are off")
            reading = await self._read()
            return "" if reading.url == before else reading.name

    async def fill(self, found: Found, text: str) -> str:
        """Put text in place of what is in a field, or choose from a list; returns what stands there then.

        A line break at the end of the text presses Enter.
        """
        async with self._in_time(_ACT_S + self._timeouts.answer):
            if found.element.role == "list":
                chosen = await self._call("choose", found.held, text)
                if chosen is None:
                    raise ToolError(f"{found.element.name} has no choice '{clipped(text, 60)}'")
                return str(chosen)
            if not await self._call("focus", found.held):
                raise ToolError(f"{found.element.name} does not take text")
            await self._page.keyboard.insert_text(text.rstrip("\n"))
            written = str(await self._call("valueOf", found.held))
            if text.endswith("\n"):
                await self._page.keyboard.press("Enter")
                await asyncio.sleep(_BEGIN_S)
                if self._loading:
                    await self._settled()
                await self._read()
            return written

    async def aclose(self) -> None:
        """Close it, also when it does not want to."""
        self._lose("there is no open page")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._context.close()
        except TimeoutError:
            self._stuck()
        except PlaywrightError as error:
            logger.debug("the tab was closed already: %s", error)

    # --- asking the page

    async def _go(self, url: str) -> int | None:
        self._failed = None
        try:
            response = await self._page.goto(url, wait_until="commit", timeout=self._timeouts.answer * 1000)
        except PlaywrightTimeoutError as error:
            raise ToolError(f"{host_of(url)} does not answer") from error
        except PlaywrightError as error:
            if self._gone or "closed" in error.message or "crashed" in error.message:
                raise
            failed = self._failed[0] if self._failed else url
            if "ERR_ABORTED" not in error.message:
                # Chromium's own page about it is still to come, and would get in the way of the next one.
                with suppress(PlaywrightError):
                    await self._page.wait_for_url("chrome-error://**", wait_until="commit", timeout=_BEGIN_S * 5000)
            raise ToolError(explain(error.message, failed, self._trouble(*endpoint_of(failed)))) from error
        return response.status if response is not None else None

    async def _settled(self) -> bool:
        """Wait for the text, and a moment for the rest; False when even the text is not all there."""
        try:
            await self._page.wait_for_load_state("domcontentloaded", timeout=self._timeouts.parsed * 1000)
        except PlaywrightTimeoutError:
            return False
        finally:
            self._loading = False
        with suppress(PlaywrightTimeoutError):
            await self._page.wait_for_load_state("load", timeout=self._timeouts.complete * 1000)
        return True

    async def _read(self) -> Reading:
        async with asyncio.timeout(self._timeouts.read):
            raw = await self._call("look")
        self._must_show(raw)
        return Reading.read(raw)

    async def _call(self, function: str, *arguments: object) -> Any:
        """Call a function of page_snapshot.js in the page's isolated world."""
        frame = (await self._cdp.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        world = await self._cdp.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": _WORLD})
        call = f"{_LOOK}\npipecatapp.{function}(...{json.dumps(arguments)})"
        answer = await self._cdp.send(
            "Runtime.evaluate",
            {"expression": call, "contextId": world["executionContextId"], "returnByValue": True},
        )
        if "exceptionDetails" in answer:
            logger.error(
                "page_snapshot.js failed: %s", answer["exceptionDetails"].get("exception", {}).get("description")
            )
            raise ToolError("the page cannot be read; the reason is in the log")
        return answer["result"].get("value")

    def _must_show(self, about: Mapping[str, Any]) -> None:
        """Raises ToolError where there is no page of the web, but Chromium's own about what failed, or none at all."""
        url = str(about["url"])
        if url.startswith("chrome-error:"):
            failed, error = self._failed or ("", "")
            raise ToolError(explain(error, failed, self._trouble(*endpoint_of(failed))))
        if not url.startswith(("http:", "https:")):
            raise ToolError("there is no open page; open one first")

    @asynccontextmanager
    async def _in_time(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except (TimeoutError, PlaywrightTimeoutError) as error:
            reason = self._gone or BUSY
            await self.aclose()
            raise ToolError(reason) from error
        except PlaywrightError as error:
            if self._gone or "closed" in error.message or "crashed" in error.message:
                reason = self._gone or CRASHED
                await self.aclose()
                raise ToolError(reason) from error
            logger.warning("the browser refused: %s", error.message)
            raise ToolError("the page changed while I used it; read it again") from error

    # --- what the page does by itself

    def _lose(self, reason: str) -> None:
        self._gone = self._gone or reason

    async def _dismiss(self, dialog: Dialog) -> None:
        self._dialogs += 1
        if self._dialogs > _MOST_DIALOGS and not self._gone:
            self._lose(NAGGING)
            self._background.start(self.aclose())
        with suppress(PlaywrightError):
            # "Leave this page?" is answered by leaving: otherwise a page could keep the browser for ever.
            await (dialog.accept() if dialog.type == "beforeunload" else dialog.dismiss())

    def _began(self, request: Request) -> None:
        if _leads_page(request, self._page):
            self._loading = True
            self._failed = None

    def _broke(self, request: Request) -> None:
        if _leads_page(request, self._page):
            self._failed = (request.url, f"net::{request.failure or ''}".replace("net::net::", "net::"))

    def _arrived(self, frame: Frame) -> None:
        if frame == self._page.main_frame:
            self._dialogs = 0 if self._dialogs <= _MOST_DIALOGS else self._dialogs

    async def _refuse_download(self, download: Download) -> None:
        self._downloads += 1
        with suppress(PlaywrightError):
            await download.cancel()

    async def _fold(self, page: Page) -> None:
        """A window that the page opened is closed; where it leads after a click, this tab goes."""
        if page == self._page:
            return
        with suppress(PlaywrightError):
            if not page.url.startswith("http"):
                with suppress(PlaywrightTimeoutError):
                    await page.wait_for_url("http*://**", wait_until="commit", timeout=_BEGIN_S * 1000)
            if page.url.startswith("http"):
                self._popup = page.url
            await page.close()


def _leads_page(request: Request, page: Page) -> bool:
    try:
        return request.is_navigation_request() and request.frame == page.main_frame
    except PlaywrightError:  # the frame of the request is gone already
        return False
