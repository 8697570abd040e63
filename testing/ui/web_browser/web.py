"""A browser of ``web_browser.*`` and the pages on loopback that it may see, most of them hostile.

Names resolve as a test says: ``*.test`` with a public address leads to the site, other addresses are really connected
to. ``house`` is a server in the house: not one connection may reach it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipecatapp.domain import Preview, ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import PreviewingTool, Tool, ToolContext
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.tools import Click, GetPageContent, GetScreenshot, Goto, Type
from testing.fakes.website import Names, Website

SHOP = """<!doctype html><title>The pot shop</title>
<nav><a href="/about">About us</a></nav>
<main><h1>Pots</h1><p>We sell blue pots. They keep their colour.</p>
<form action="/search"><label>Search <input name="q"></label><label>Word <input type="password" name="p"></label>
<select name="size" aria-label="Size"><option>Small<option>Large</select><button>Find</button></form>
<a href="/next">Next page</a> <a href="http://pay.test/now">Buy now</a> <button disabled>Sold out</button></main>
<footer>Made by hand</footer>"""


@dataclass
class Web:
    """The browser, the site it may see, the server in the house that it may not."""

    browser: WebBrowser
    site: Website
    secure: Website
    house: Website
    names: Names
    pictures: Path

    def tool(self, name: str) -> Tool:
        made = {"goto": Goto, "read": GetPageContent, "picture": GetScreenshot, "click": Click, "type": Type}
        return made[name](self.browser)

    async def preview(self, name: str, conversation: str = "c", **arguments: str) -> Preview:
        tool = self.tool(name)
        assert isinstance(tool, PreviewingTool)
        return await tool.preview(arguments, ToolContext(conversation, "t"))

    async def run(self, name: str, conversation: str = "c", **arguments: str) -> ToolResult:
        return await self.tool(name).run(arguments, ToolContext(conversation, "t"))

    async def do(self, name: str, conversation: str = "c", **arguments: str) -> ToolResult:
        """Preview and run, as the approval gate does."""
        if isinstance(self.tool(name), PreviewingTool):
            await self.preview(name, conversation, **arguments)
        return await self.run(name, conversation, **arguments)

    async def show(self, body: str, **answer: object) -> ToolResult:
        """Serve a page and open it."""
        self.site.page("/page", body, **answer)
        return await self.do("goto", url="http://shop.test/page")

    async def refused(self, name: str, **arguments: str) -> str:
        with pytest.raises(ToolError) as refusal:
            await self.do(name, **arguments)
        return str(refusal.value)


def serve(web: Web, body: str) -> str:
    """A page of the site; its URL."""
    web.site.page("/page", body)
    return "http://shop.test/page"


def call(name: str, **arguments: str) -> str:
    """A call as a model writes it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


async def opens(web: Web) -> None:
    web.site.page("/fine", "<title>Fine</title><p>All is well.")
    assert "All is well." in (await web.do("goto", url="http://shop.test/fine")).text
