"""``web_browser.*`` as a person uses it: open, read, type, click."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from pipecatapp.domain import Preview, ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.tools.web_browser.addresses import Rule
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.tools.web_browser.tools import Click, GetPageContent, Goto
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.website import leading_to
from testing.ui.web_browser.web import SHOP, Web, call, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_page_is_opened_and_read(web: Web) -> None:
    opened = await web.show(SHOP)
    assert opened.text.startswith("The page is open: The pot shop. Pots. We sell blue pots.")
    read = await web.do("read")
    assert read.text.startswith("The page The pot shop says:\nPots\nWe sell blue pots.")
    assert read.text.index("Pots") < read.text.index("About us")
    for line in ("[1] Search (field)", "[2] Word (password field)", "[5] Next page", "[7] Sold out (button, off)"):
        assert line in read.text.splitlines()


async def test_the_preview_names_the_host_and_covers_it_alone(web: Web) -> None:
    preview = await web.preview("goto", url="shop.test/page?a=b")
    assert preview == Preview("Open shop.test in the browser.", detail="https://shop.test/page?a=b", scope="shop.test")


async def test_a_picture_is_kept_under_a_name_that_nobody_can_guess(web: Web) -> None:
    await web.show(SHOP)
    taken = [await web.do("picture") for _ in range(5)]
    kept = {f"/api/pictures/{file.name}" for file in web.pictures.glob("*")}
    assert kept == {result.detail for result in taken[-3:]}
    newest = web.pictures / taken[-1].detail.rpartition("/")[2]
    assert newest.read_bytes().startswith(b"\x89PNG")
    assert newest.stat().st_mode & 0o077 == 0
    assert len(newest.stem) == 32


async def test_typing_and_clicking_do_what_the_preview_said(web: Web) -> None:
    await web.show(SHOP)
    web.site.page("/search", "<title>Found</title><p>Three pots.")
    assert (await web.preview("type", target="search", text="red pots")).sentence == (
        "Type 'red pots' into 'Search' on shop.test."
    )
    typed = await web.run("type", target="search", text="red pots")
    assert typed == ToolResult("The text is in 'Search'.", detail="red pots")
    assert (await web.do("type", target="Size", text="large")).detail == "Large"
    preview = await web.preview("click", target="Find")
    assert (preview.sentence, preview.scope) == ("Click 'Find' on shop.test.", "shop.test")
    clicked = await web.run("click", target="Find")
    assert clicked.text == "I clicked 'Find'. The page is now: Found."
    assert "GET /search?q=red+pots&p=&size=Large" in web.site.requests


async def test_a_line_break_presses_enter(web: Web) -> None:
    await web.show(SHOP)
    web.site.page("/search", "<title>Found</title>")
    preview = await web.preview("type", target="1", text="pots\n") if await web.do("read") else None
    assert preview is not None
    assert preview.sentence.endswith("and press Enter.")
    await web.run("type", target="1", text="pots\n")
    assert "GET /search?q=pots&p=&size=Small" in web.site.requests


async def test_a_link_is_followed_by_its_number_and_says_when_it_leads_elsewhere(web: Web) -> None:
    await web.show(SHOP)
    web.site.page("/now", "<title>Pay</title>")
    await web.do("read")
    assert (await web.preview("click", target="[6]")).sentence == (
        "Click 'Buy now' on shop.test, which leads to pay.test."
    )
    assert (await web.run("click", target="[6]")).text.endswith("The page is now: Pay.")


async def test_an_element_that_is_not_there_or_not_clear_is_said(web: Web) -> None:
    await web.show(f"{SHOP}<a href=/a>Basket</a><a href=/b>Basket</a>")
    assert "no link or button called 'Checkout'" in await web.refused("click", target="Checkout")
    assert "several things fit 'Basket'" in await web.refused("click", target="Basket")
    assert "no field called 'Find'" in await web.refused("type", target="Find", text="x")
    assert "is off on this page" in await web.refused("click", target="Sold out")
    await web.do("read")
    assert "no link or button called '99'" in await web.refused("click", target="99")


async def test_nothing_is_typed_into_a_field_for_a_secret(web: Web) -> None:
    fields = (
        '<input placeholder="Card" autocomplete="cc-number"><input placeholder="Code" autocomplete="one-time-code">'
    )
    await web.show(f"{SHOP}{fields}<input placeholder='Pin' style='-webkit-text-security: disc'>")
    for target in ("Word", "Card", "Code", "Pin"):
        assert "secret" in await web.refused("type", target=target, text="x")


async def test_nothing_is_clicked_that_changed_since_the_preview(web: Web) -> None:
    await web.show(
        "<a id=a href=/next>Next page</a><button id=b>Send</button><button id=c>Gone</button><script>"
        "setTimeout(() => { a.href = '/evil'; b.textContent = 'Buy'; c.remove() }, 4000)</script>"
    )
    for target in ("Next page", "Send", "Gone"):
        await web.preview("click", target=target)
    async with asyncio.timeout(30):
        while "Gone" in (await web.do("read")).text:
            await asyncio.sleep(0.2)
    for target in ("Next page", "Send", "Gone"):
        with pytest.raises(ToolError, match=r"so I did nothing"):
            await web.run("click", target=target)
    assert web.site.requests.count("GET /evil") == 0


async def test_a_yes_for_another_page_clicks_nothing(web: Web) -> None:
    await web.show(SHOP)
    await web.preview("click", target="Next page")
    await web.show(SHOP)
    with pytest.raises(ToolError, match="another page was opened"):
        await web.run("click", target="Next page")
    assert "GET /next" not in web.site.requests


async def test_nothing_is_clicked_through_something_that_lies_over_it(web: Web) -> None:
    await web.show("<button onclick=\"fetch('/clicked')\">Send</button><div style='position:fixed;inset:0'></div>")
    assert "something lies over 'Send'" in await web.refused("click", target="Send")
    assert "GET /clicked" not in web.site.requests


async def test_each_conversation_has_its_own_page_and_cookies(web: Web) -> None:
    await web.show("<title>Mine</title><script>document.cookie='who=c'</script>")
    web.site.page("/other", "<title>x</title><p>cookie <script>document.write(document.cookie || 'none')</script>")
    other = await web.do("goto", "another", url="http://shop.test/other")
    assert "cookie none" in other.text
    assert "Mine" in (await web.do("read")).text
    with pytest.raises(ToolError, match="no open page"):
        await web.do("read", "a third")


async def test_a_host_on_the_list_is_opened(web: Web) -> None:
    web.site.page("/home", "<title>The NAS</title>")
    opened = await web.do("goto", url=f"http://127.0.0.1:{web.site.port}/home")
    assert "The NAS" in opened.text
    assert (await web.preview("goto", url=f"http://127.0.0.1:{web.site.port}/")).scope == f"127.0.0.1:{web.site.port}"


async def test_boxes_to_tick_say_what_they_are(web: Web) -> None:
    await web.show("<label><input type=checkbox checked>News</label><label><input type=radio>Post</label>")
    assert "[1] News (checkbox, chosen)" in (await web.do("read")).text
    await web.do("click", target="News")
    assert "[1] News (checkbox)" in (await web.do("read")).text


def profile_of(pid: int) -> Path:
    """The folder of a Chromium's profile."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return Path(next(one.partition(b"=")[2].decode() for one in arguments if one.startswith(b"--user-data-dir=")))


async def test_an_agent_uses_the_web_after_a_yes_and_ends_chromium_with_itself(web: Web, tmp_path: Path) -> None:
    browser = WebBrowser(
        Pictures(tmp_path), rule=Rule(own=list), resolve=web.names.resolve, connect=leading_to(web.site)
    )
    serve(web, SHOP)
    web.site.page("/next", "<title>Page two</title><p>More pots.")
    tools = [Goto(browser), GetPageContent(browser), Click(browser)]
    house = AgentHarness(
        tmp_path / "conversations",
        call("web_browser.goto", url="http://shop.test/page"),
        "It is the pot shop.",
        call("web_browser.click", target="Next page"),
        "There are more pots.",
        tools=tools,
        gated=True,
        clock=time.time,
    )
    assert (
        await house.ask("open shop.test")
        == "I am about to open shop.test in the browser. Please confirm it on the page."
    )
    assert web.site.requests == []
    assert await house.approve_and_hear() == "It is the pot shop."
    assert "We sell blue pots." in house.model.requests[-1].messages[-1].content
    assert await house.ask("click next page") == "I am about to click 'Next page' on shop.test. Shall I?"
    assert "GET /next" not in web.site.requests
    assert await house.approve_and_hear() == "There are more pots."
    assert "GET /next" in web.site.requests

    pid = browser.pid
    assert pid is not None
    profile = profile_of(pid)
    assert profile.exists()
    await house.aclose()
    assert not Path(f"/proc/{pid}").exists()
    assert not profile.exists()
