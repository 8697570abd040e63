"""Timers, alarms and reminders on the page: set, edited and stopped with the keyboard."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_reminders_and_timers_are_kept_with_the_keyboard_alone(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await open_tab(page, "Timers")
    when, what, said = page.locator("#schedule-when"), page.locator("#schedule-what"), page.locator("#schedule-said")

    await page.locator("#schedule-kind").select_option("reminder")
    await what.fill(f"call {MARKUP}")
    await when.fill("every day at noon")
    await page.keyboard.press("Enter")
    await expect(page.locator(".due-name")).to_have_text([f"call {MARKUP}"])
    await expect(page.locator(".due-when")).to_have_text(["every day at noon"])

    await page.get_by_role("button", name="Edit: call").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("every monday at nine")
    await page.keyboard.press("Enter")
    await expect(page.locator(".due-when")).to_have_text(["every Monday at 9 in the morning"])
    await expect(page.get_by_role("button", name="Edit: call")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(said).to_contain_text("is cancelled")
    await expect(page.locator(".due-name")).to_have_count(0)

    await page.locator("#schedule-kind").select_option("timer")
    await what.fill("pasta")
    await when.fill("ten minutes")
    await page.keyboard.press("Enter")
    await expect(page.locator(".due-when")).to_have_text(re.compile(r"9:5\d|10:00"))
    await page.get_by_role("button", name="Pause: pasta timer").press("Enter")
    await expect(page.locator(".due-when")).to_have_text(re.compile(r"(9:[345]\d|10:00), paused"))


async def test_a_late_answer_takes_the_focus_from_nobody(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await open_tab(page, "Timers")
    may_come = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        if route.request.method == "POST":
            await may_come.wait()
        await route.fulfill(response=answer)

    await page.route("**/api/schedule", late)
    await page.locator("#schedule-kind").select_option("reminder")
    await page.locator("#schedule-what").fill("call Ada")
    await page.locator("#schedule-when").fill("every day at noon")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Edit: call").press("Enter")
    await page.keyboard.type("every monday")
    may_come.set()
    await expect(page.locator("#schedule-said")).to_contain_text("call Ada")
    await page.keyboard.type(" at nine")
    await page.keyboard.press("Enter")
    await expect(page.locator(".due-when")).to_have_text(["every Monday at 9 in the morning"])


async def test_a_ring_is_stopped_and_snoozed_with_the_keyboard(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await open_tab(page, "Timers")
    banner, title = page.locator("#banner-ring"), page.locator("#banner-ring-text")
    for answer in ("Snooze 5 minutes", "Stop"):
        await page.evaluate(
            "fetch('/api/schedule', {method: 'POST', headers: {'content-type': 'application/json'},"
            " body: JSON.stringify({kind: 'timer', what: 'tea', when: '1 second',"
            " conversation: localStorage.getItem('conversation')})})"
        )
        await expect(title).to_have_text("Your tea timer is done.")
        await page.get_by_role("button", name=answer).press("Enter")
        await expect(banner).to_be_hidden()
    assert [ring.state for ring in mission.schedule.service.keeper.rings()] == ["snoozed"]
