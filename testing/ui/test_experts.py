"""The experts on the page, with the real table; only their servers are scripted."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from pipecatapp.registration import Registration
from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, Watch, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

CODING = Registration(
    "coding",
    "http://h1:8080/v1",
    engine="llama.cpp",
    context=8192,
    quantization="Q4_K_M",
    description=f"programs {MARKUP}",
)
# Its server has another model: it is not asked.
SECOND = Registration("coding", "http://h2:8080/v1", model=f"coder {MARKUP}")


async def test_experts_come_and_go_while_one_looks(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(page.locator("#state")).to_have_text("Ready")
    await expect(page.get_by_role("tab", name="Experts")).to_have_count(0)

    mission.experts.update([CODING], stale=False)
    await open_tab(page, "Experts")
    coding = page.get_by_role("table", name="coding")
    await expect(coding).to_contain_text(f"programs {MARKUP}")
    await expect(coding).to_contain_text("Q4_K_M · llama.cpp · 8,192 tokens")
    await expect(coding.locator("tbody tr")).to_contain_text("ready")
    await expect(page.locator("#experts-stale")).to_be_hidden()
    mission.experts.update([CODING, SECOND], stale=True)
    await expect(coding.locator("tbody tr")).to_have_count(2)
    await expect(page.locator("#experts-stale")).to_be_visible()
    await expect(coding.locator("tbody tr", has_text="h2:8080")).to_contain_text(f"coder {MARKUP}")
    await expect(coding.locator("tbody tr", has_text="h2:8080")).to_contain_text("not answering")
    mission.experts.update([], stale=False)

    await expect(page.get_by_role("tab", name="Experts")).to_have_count(0)
    await expect(page.get_by_role("tabpanel", name="Overview")).to_be_visible()
    assert await page.locator("#experts img").count() == 0


async def test_one_is_chosen_by_hand_answers_and_is_named(mission: Mission, open_page: OpenPage) -> None:
    mission.expert_answers["coding"] = ["Use a loop."]
    mission.experts.update([CODING], stale=False)
    page = await open_page(mission.link)
    await open_tab(page, "Experts")
    choice = page.get_by_label("Who answers in this conversation")

    await choice.select_option("coding")
    await expect(page.locator("#expert-chosen")).to_have_text("coding answers in this conversation.")
    await page.locator("#words").fill("how do I repeat this")
    await page.locator("#words").press("Enter")
    await expect(page.locator(".answer")).to_have_text("Use a loop.")
    await expect(page.locator(".turn-foot")).to_contain_text("coding expert")
    await page.reload()
    await expect(page.locator(".turn-foot")).to_contain_text("coding expert")
    await expect(choice).to_have_value("coding")
    await choice.select_option("automatic")
    await expect(page.locator("#expert-chosen")).to_have_text("The assistant chooses who answers.")
    await page.locator("#words").fill("and then")
    await page.locator("#words").press("Enter")

    await expect(page.locator(".answer").last).to_have_text("You said: and then")
    await expect(page.locator(".turn-foot").last).not_to_contain_text("expert")


async def test_an_expert_that_has_just_gone_cannot_be_chosen(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("404")
    mission.experts.update([CODING], stale=False)
    page = await open_page(mission.link)
    await open_tab(page, "Experts")
    choice = page.get_by_label("Who answers in this conversation")
    await expect(choice.locator("option")).to_have_count(2)

    async def gone_meanwhile(route: Route) -> None:
        mission.experts.update([], stale=False)
        await route.continue_()

    await page.route("**/api/experts/choose", gone_meanwhile)
    await choice.select_option("coding")

    await expect(page.locator("#banner-notice")).to_contain_text("coding")
    await expect(page.get_by_role("tab", name="Experts")).to_have_count(0)
