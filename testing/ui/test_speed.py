"""How fast models are, on the page."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission
from testing.fakes.speeds import measurement
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_what_was_measured_stands_beside_the_forecast(mission: Mission, open_page: OpenPage) -> None:
    await mission.measured.keep(measurement("seven", "pc1", 2.0, prompt={128: 10.0, 1024: 8.0}, build=MARKUP))
    page = await open_page(mission.link)
    await open_tab(page, "Speed")

    models = page.locator("#speed-models")
    await expect(models.get_by_role("rowheader", name="seven")).to_contain_text("measured on pc1")
    measured = page.locator("#speed-table")
    await expect(measured).to_contain_text(f"Q4_0 · plain · {MARKUP} · prompts of 128, 1,024 tokens")
    await expect(measured.locator("td").first).to_have_text("10 / 8.0")
    await expect(page.locator("#speed-none")).to_be_hidden()
    assert await page.locator("#details-speed img").count() == 0
    await page.get_by_role("tab", name="Speed").press("ArrowRight")
    await expect(page.get_by_role("tab", name="Audit")).to_be_focused()
