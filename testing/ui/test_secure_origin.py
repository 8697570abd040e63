"""Away from localhost a browser gives the microphone over TLS only: the page says so and shows the way."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission
from testing.ui.conftest import OpenPage, Watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def away(mission: Mission) -> str:
    return mission.link.replace("127.0.0.1", "pc.test")


async def test_the_talk_button_explains_and_leads_to_the_secure_page_signed_in(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("401")  # the Strict cookie does not come along from http to https: login.js looks again
    page = await open_page(away(mission), insecure=True)
    await expect(page.locator("#state")).to_have_text("Ready")
    before = await page.evaluate("localStorage.getItem('conversation')")

    await page.locator("#talk").click()
    await expect(page.locator("#banner-notice")).to_contain_text("microphone only to secure pages")
    await page.get_by_role("button", name="Open the secure page").click()

    await page.wait_for_url(f"https://pc.test:{mission.servers.tls_port}/")
    await expect(page.locator("#state")).to_have_text("Ready")
    await page.locator("#talk").click()
    await expect(page.locator("#state")).to_have_text("Listening")
    await mission.voice.connected.wait()
    assert mission.voice.conversations == [before]


async def test_typing_works_without_a_secure_origin(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(away(mission))

    await page.locator("#words").fill("hello from the sofa")
    await page.locator("#words").press("Enter")

    await expect(page.locator(".answer")).to_have_text("You said: hello from the sofa")


async def test_the_certificate_page_offers_the_download_and_its_fingerprint(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(away(mission))
    await page.goto(page.url + "ca")

    await expect(page.locator("#fingerprint-value")).to_have_text(re.compile(r"^([0-9A-F]{2}:){31}[0-9A-F]{2}$"))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download the certificate").click()

    assert (await download.value).suggested_filename == "pipecatapp-ca.crt"
    for system in ("Android", "iPhone and iPad", "Windows (Edge, Chrome)", "macOS (Safari, Chrome)"):
        await expect(page.get_by_role("heading", name=system)).to_be_visible()


async def test_a_session_that_ended_leads_to_the_login(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("401|WebSocket connection|ERR_|1012")
    page = await open_page(mission.link)
    await expect(page.locator("#state")).to_have_text("Ready")
    await page.context.clear_cookies()

    await mission.stop()
    await mission.start()

    await expect(page.get_by_label("Token")).to_be_visible()
