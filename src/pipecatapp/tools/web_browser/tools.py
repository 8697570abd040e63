"""``web_browser.goto``, ``get_page_content``, ``get_screenshot``, ``click`` and ``type``.

What a page says is somebody else's words (``untrusted``). Before a click or typing a person sees which element is
meant; if it is another one when the yes comes, nothing happens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.errors import endpoint_of, host_of
from pipecatapp.tools.web_browser.reading import clipped
from pipecatapp.tools.web_browser.urls import web_address

_SAID = 80  # characters of a text, in the sentence
_UNSAID = 60  # characters behind the host, which are not in the sentence
_LOOSE = ("target", "text")  # what stands on the page is found by it, however it is written
_TARGET = {"type": "string", "minLength": 1, "maxLength": 200, "description": "Its number on the page, or its words."}


class _BrowserTool:
    """What the tools share: the browser, and its end."""

    def __init__(self, browser: WebBrowser) -> None:
        self._browser = browser

    async def aclose(self) -> None:
        """End the browser."""
        await self._browser.aclose()


class Goto(_BrowserTool):
    """Opens a page."""

    spec = ToolSpec(
        name="web_browser.goto",
        description="Open a web page.",
        parameters={
            "type": "object",
            "properties": {"url": {"type": "string", "minLength": 1, "maxLength": 2000}},
            "required": ["url"],
        },
        risk=Risk.ACT,
        timeout_s=120.0,
        copied=("url",),
        untrusted=True,
    )

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Name the host."""
        url = self._allowed(arguments)
        behind = url.partition("://")[2].partition("/")[2]
        return Preview(
            f"Open {host_of(url)} in the browser.",
            detail=url,
            scope=host_of(url),
            # A long one can carry away what nobody hears of.
            whole=len(behind) <= _UNSAID or str(arguments["url"]) in context.words,
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Go there, and say what it is."""
        url = self._allowed(arguments)
        async with self._browser.tab(context.conversation, new=True) as tab:
            if not await tab.answers():
                await tab.aclose()
        async with self._browser.tab(context.conversation, new=True) as tab:
            reading, note = await tab.open(url)
        said = f"The page is open: {_closed(reading.name)} {note} {reading.opening()}"
        return ToolResult(" ".join(said.split()), detail=reading.full())

    def _allowed(self, arguments: Mapping[str, Any]) -> str:
        url = web_address(str(arguments["url"]))
        if (reason := self._browser.rule.refuse_name(*endpoint_of(url))) is not None:
            raise ToolError(reason)
        return url


class GetPageContent(_BrowserTool):
    """Reads the open page."""

    spec = ToolSpec(
        name="web_browser.get_page_content",
        description="The text of the open web page, and its links and fields with numbers.",
        timeout_s=45.0,
        untrusted=True,
        asks=("read me the page", "what does this site say", "what is written there", "which links are on this page"),
    )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Read it."""
        async with self._browser.tab(context.conversation) as tab:
            reading = await tab.read()
        return ToolResult(reading.short(), detail=reading.full())


class GetScreenshot(_BrowserTool):
    """Takes a picture of the open page, for the person: the model gets its title alone."""

    spec = ToolSpec(
        name="web_browser.get_screenshot",
        description="Take a picture of the open web page and show it to the person.",
        timeout_s=60.0,
        untrusted=True,
        asks=("screenshot this", "show me what the page looks like", "capture the page", "let me see the site"),
    )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Take it."""
        async with self._browser.tab(context.conversation) as tab:
            png, host = await tab.picture()
        url = await asyncio.to_thread(self._browser.pictures.add, png)
        return ToolResult(f"The picture of {host} is on the screen.", detail=url)


class Click(_BrowserTool):
    """Clicks what the preview named."""

    spec = ToolSpec(
        name="web_browser.click",
        description="Click a link or button of the open web page.",
        parameters={"type": "object", "properties": {"target": _TARGET}, "required": ["target"]},
        risk=Risk.ACT,
        timeout_s=90.0,
        copied=("target",),
        untrusted=True,
        asks=(
            "press the login button",
            "hit skip ad",
            "follow the second link",
            "tap on accept",
            "choose the first result",
        ),
    )

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Find the element and name it, and where it leads when that is elsewhere."""
        async with self._browser.tab(context.conversation) as tab:
            found = await tab.find(str(arguments["target"]))
            element = found.element
            if element.role == "file":
                raise ToolError("that button sends a file from this PC, and I give no files away")
            if element.href and not element.href.startswith(("http:", "https:", "javascript:")):
                raise ToolError(f"{element.name} leads out of the browser, to {clipped(element.href, 60)}")
            if element.disabled:
                raise ToolError(f"{element.name} is off on this page now")
            tab.remember(_key(self.spec.name, arguments), found)
        host = host_of(element.origin)
        target = element.href or element.action
        other = host_of(target)
        leads = f", which leads to {other}" if other and other != host else ""
        detail = f"{element.role} {element.name} on {element.origin}" + (f"\n{target}" if target else "")
        return Preview(f"Click {element.name} on {host}{leads}.", detail=detail, scope=host, found=detail, loose=_LOOSE)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Click it, if it is still the same."""
        async with self._browser.tab(context.conversation) as tab:
            found = tab.recall(_key(self.spec.name, arguments))
            await tab.same(found)
            title = await tab.click(found)
        said = f"I clicked {found.element.name}."
        return ToolResult(f"{said} The page is now: {_closed(title)}" if title else said, detail=found.element.href)


class Type(_BrowserTool):
    """Types into the field that the preview named; never into one for a secret."""

    spec = ToolSpec(
        name="web_browser.type",
        description="Type into a field of the open web page. A line break at the end of the text presses Enter.",
        parameters={
            "type": "object",
            "properties": {"target": _TARGET, "text": {"type": "string", "maxLength": 5000}},
            "required": ["target", "text"],
        },
        risk=Risk.ACT,
        timeout_s=90.0,
        copied=("target", "text"),
        untrusted=True,
        asks=(
            "write my name into the box",
            "fill in the search field",
            "enter the code in the form",
            "put it into the input",
        ),
    )

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Find the field and name it."""
        text = str(arguments["text"])
        async with self._browser.tab(context.conversation) as tab:
            found = await tab.find(str(arguments["target"]), field=True)
            element = found.element
            if element.secret:
                raise ToolError(f"{element.name} is a field for a secret, and I type into none of those")
            if element.disabled:
                raise ToolError(f"{element.name} takes no text now")
            tab.remember(_key(self.spec.name, arguments), found)
        host = host_of(element.origin)
        enter = " and press Enter" if text.endswith("\n") else ""
        verb = "Choose" if element.role == "list" else "Type"
        into = "in" if element.role == "list" else "into"
        said = clipped(text.strip(), _SAID)
        goes = f"\nthe form goes to {element.action}" if element.action else ""
        where = f"{element.name} on {element.origin}{goes}"
        return Preview(
            f"{verb} '{said}' {into} {element.name} on {host}{enter}.",
            detail=f"{where}\n{text}",
            scope=host,
            whole=said == text.strip(),
            found=where,
            loose=_LOOSE,
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Type it, if the field is still the same."""
        async with self._browser.tab(context.conversation) as tab:
            found = tab.recall(_key(self.spec.name, arguments))
            await tab.same(found)
            written = await tab.fill(found, str(arguments["text"]))
        return ToolResult(f"The text is in {found.element.name}.", detail=written)


def create_goto(services: ToolServices) -> Tool:
    """``web_browser.goto``, for the registry."""
    return Goto(_browser(services))


def create_content(services: ToolServices) -> Tool:
    """``web_browser.get_page_content``, for the registry."""
    return GetPageContent(_browser(services))


def create_screenshot(services: ToolServices) -> Tool:
    """``web_browser.get_screenshot``, for the registry."""
    return GetScreenshot(_browser(services))


def create_click(services: ToolServices) -> Tool:
    """``web_browser.click``, for the registry."""
    return Click(_browser(services))


def create_type(services: ToolServices) -> Tool:
    """``web_browser.type``, for the registry."""
    return Type(_browser(services))


def _browser(services: ToolServices) -> WebBrowser:
    if services.browser is None:
        raise ToolOffError("this program was started without a browser")
    if missing := services.browser.missing():
        raise ToolOffError(missing)
    return services.browser


def _key(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"


def _closed(sentence: str) -> str:
    return sentence if sentence[-1:] in (".", "!", "?") else f"{sentence}."
