"""axe-core on every state of the page, both themes, phone and desktop: nothing serious."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ModelNotReadyError
from testing.fakes.mission import Mission
from testing.ui.conftest import AXE, DESKTOP, PHONE, REFUSE, OpenPage, Watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LOOKS = pytest.mark.parametrize(
    ("viewport", "theme"),
    [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"],
)


async def serious(page: Page) -> list[str]:
    """What axe finds, serious or critical."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@LOOKS
async def test_every_state_of_the_page(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int], theme: str
) -> None:
    async def slowly(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "So far, "
        await go_on.wait()

    mission.model.replies = {
        "tool_response": "All is well.",
        "status": '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>',
        "early": ModelNotReadyError("loading"),
        "slowly": slowly,
    }
    page = await open_page(mission.link, viewport=viewport, theme=theme)
    await expect(page.locator("#state")).to_have_text("Ready")
    findings = {"empty": await serious(page)}

    for words in ("your status", "too early"):
        await page.locator("#words").fill(words)
        await page.locator("#words").press("Enter")
    await expect(page.locator(".answer")).to_have_count(2)
    findings["conversation"] = await serious(page)

    name = await page.evaluate("localStorage.getItem('conversation')")
    await page.locator("#talk").click()
    await expect(page.locator("#state")).to_have_text("Listening")
    mission.partial(name, "half a sen")
    await expect(page.locator("#partial")).to_be_visible()
    findings["listening"] = await serious(page)
    await page.locator("#mute").click()
    findings["muted"] = await serious(page)
    for state in ("speaking", "paused", "idle"):
        mission.state(name, state)
        findings[state] = await serious(page)
    await page.locator("#words").fill("slowly")
    await page.locator("#words").press("Enter")
    await expect(page.locator("#state")).to_have_text("Thinking")
    findings["thinking"] = await serious(page)
    mission.model.go_on.set()

    mission.health["engine"].state = ComponentHealth("engine", ok=False, reason="Building.", progress=0.4)
    await expect(page.locator("#banner-wake")).to_be_visible()
    findings["waking"] = await serious(page)
    if viewport is PHONE:
        await page.locator("#panel-toggle").click()
        await page.wait_for_timeout(300)
    await page.get_by_role("tab", name="Tools").click()
    await page.locator("#tools summary").first.click()
    findings["details"] = await serious(page)

    assert {state: found for state, found in findings.items() if found} == {}


@LOOKS
async def test_no_connection_and_a_notice(
    mission: Mission, open_page: OpenPage, watch: Watch, viewport: dict[str, int], theme: str
) -> None:
    watch.tolerate("ERR_|WebSocket connection|1012")
    page = await open_page(mission.link, viewport=viewport, theme=theme, script=REFUSE)
    await page.locator("#talk").click()
    await expect(page.locator("#banner-notice")).to_be_visible()
    await mission.stop()
    await expect(page.locator("#banner-connection")).to_be_visible()

    assert await serious(page) == []
    await mission.start()


@LOOKS
async def test_the_login_and_the_certificate_page(
    mission: Mission, open_page: OpenPage, watch: Watch, viewport: dict[str, int], theme: str
) -> None:
    watch.tolerate("401")
    page = await open_page(f"{mission.url}/?token=wrong", viewport=viewport, theme=theme)
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await serious(page) == []

    await page.goto(mission.link)
    await page.goto(f"{mission.url}/ca")
    assert await serious(page) == []
