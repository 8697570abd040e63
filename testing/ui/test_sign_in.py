"""Signing in and out in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission
from testing.ui.conftest import OpenPage, Watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_printed_link_signs_in_and_leaves_no_token_in_the_address(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)

    await expect(page.locator("#state")).to_have_text("Ready")
    assert page.url == f"{mission.url}/"
    cookie = (await page.context.cookies())[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert mission.token not in cookie["value"]


async def test_the_login_page_takes_a_token_and_says_when_it_is_wrong(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("401")
    page = await open_page(mission.url)

    await page.get_by_label("Token").fill("not the token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("pipecatapp link")

    await page.get_by_label("Token").fill(mission.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#state")).to_have_text("Ready")


async def test_signing_out_ends_at_the_login_page(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("401")
    page = await open_page(mission.link)

    await page.get_by_role("button", name="Sign out", exact=True).click()

    await expect(page.get_by_label("Token")).to_be_visible()
    await page.goto(mission.url)
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_signing_out_everywhere_leads_every_open_page_to_the_login(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("401|WebSocket connection")
    page, other = await open_page(mission.link), await open_page(mission.link)
    await expect(other.locator("#state")).to_have_text("Ready")

    await page.get_by_role("button", name="everywhere").click()

    await expect(page.get_by_label("Token")).to_be_visible()
    await expect(other.get_by_label("Token")).to_be_visible()
