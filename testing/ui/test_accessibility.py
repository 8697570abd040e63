"""axe-core on every state of the page, both themes, phone and desktop: nothing serious."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from pipecatapp.domain import CameraView, ComponentHealth, NamedList, ToolCall
from pipecatapp.errors import ModelNotReadyError
from pipecatapp.ports import ToolContext
from pipecatapp.registration import Registration
from testing.fakes.mission import Mission
from testing.fakes.speeds import measurement
from testing.ui.conftest import AXE, DESKTOP, JPEG, PHONE, REFUSE, OpenPage, Watch, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LOOKS = pytest.mark.parametrize(
    ("viewport", "theme"),
    [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"],
)


# Both themes and both layouts, once each: colours do not depend on the layout.
BOTH = pytest.mark.parametrize(
    ("viewport", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop-light", "phone-dark"]
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


@BOTH
async def test_the_cards_of_what_waits(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int], theme: str
) -> None:
    calls = {
        "disks": {"name": "ssh.run_command", "arguments": {"host": "node3", "command": "df -h\nuptime"}},
        "sleep": {"name": "power.set_idle_threshold", "arguments": {"service": "nas", "seconds": 600}},
    }
    for word, call in calls.items():
        mission.model.replies[word] = f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
    page = await open_page(mission.link, viewport=viewport, theme=theme)
    for number, word in enumerate(calls, start=1):
        await page.locator("#words").fill(word)
        await page.locator("#words").press("Enter")
        await expect(page.locator(".approval")).to_have_count(number)
    danger, act = page.locator(".approval").first, page.locator(".approval").last
    findings = {"waiting": await serious(page)}

    await danger.get_by_role("button", name="Allow once").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    findings["asked by name"] = await serious(page)
    await page.get_by_role("button", name="No", exact=True).click()
    await danger.get_by_role("button", name="Refuse").click()
    await act.get_by_role("button", name="Edit").click()
    await act.get_by_label("seconds").fill("soon")
    await act.get_by_role("button", name="Allow once").click()
    await expect(act.locator(".field-problem:visible")).to_have_count(1)
    findings["edited, one refused"] = await serious(page)

    assert {state: found for state, found in findings.items() if found} == {}


@BOTH
async def test_every_tab_of_the_details(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int], theme: str
) -> None:
    await mission.memory.add("The cat is called Minka.")
    await mission.lists.add(NamedList("shopping", "shopping"), ["milk", "eggs"])
    mission.camera.state = CameraView(True, "/dev/video0", "yolov8", "A cup.", ("cup",), 1.0, "it is unplugged")
    mission.camera.image = JPEG
    call = ToolCall("c", "ssh.run_command", {"host": "node3", "command": "df -h"})
    await mission.gate.auditor.call(call, mission.ssh.spec, ToolContext("c-1", "t-1"), "refused", "page")
    coding = Registration("coding", "http://h1:1/v1", model="coder", engine="llama.cpp", description="programs")
    mission.experts.update([coding], stale=True)
    await mission.measured.keep(measurement("seven", "pc1", 2.0))
    page = await open_page(mission.link, viewport=viewport, theme=theme)
    await expect(page.locator("#state")).to_have_text("Ready")
    if viewport is PHONE:
        await page.locator("#panel-toggle").click()
    findings: dict[str, list[str]] = {}

    for name, content in (
        ("Tools", "#tool-list summary"),
        ("Lists", ".list-text"),
        ("Memory", "#memory-list .fact"),
        ("Camera", "#camera-trouble"),
        ("Experts", "#experts table"),
        ("House", "#house-pcs .house-pc"),
        ("Speed", "#speed-measured tr"),
        ("Audit", "#audit summary"),
        ("Log", "#log"),
    ):
        await open_tab(page, name)
        await expect(page.locator(content).first).to_be_visible()
        if name in ("Tools", "Audit"):
            await page.locator(content).first.click()
        findings[name] = await serious(page)
        if name == "Lists":
            await page.get_by_role("button", name="Edit: milk").click()
            findings["an item that is edited"] = await serious(page)
        if name == "Memory":
            await page.get_by_role("button", name="Edit: The cat").click()
            await expect(page.locator(".past")).not_to_be_empty()
            findings["a fact that is edited"] = await serious(page)

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
