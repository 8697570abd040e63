"""The audit log on the page, with the real log."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from pipecatapp.domain import ToolCall
from pipecatapp.ports import ToolContext
from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_audit_log_is_live_filtered_and_goes_back_page_by_page(mission: Mission, open_page: OpenPage) -> None:
    context = ToolContext("c-1", "t-1")
    for number in range(60):
        call = ToolCall(f"c{number}", "power.set_idle_threshold", {"service": f"{MARKUP} {number}", "token": "hunter2"})
        await mission.gate.auditor.call(call, mission.power.spec, context, "approved", "session")
    page = await open_page(mission.link)
    await open_tab(page, "Audit")
    entries = page.locator("#audit > li")
    await expect(entries).to_have_count(50)
    await expect(entries.first).to_contain_text("approved")

    await page.get_by_role("button", name="Load more").click()
    await expect(entries).to_have_count(60)
    await expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    call = ToolCall("c", "ssh.run_command", {"host": "node3", "command": "df -h"})
    await mission.gate.auditor.call(call, mission.ssh.spec, context, "refused", "page")
    await expect(entries).to_have_count(61)
    await expect(entries.first).to_contain_text("ssh.run_command")

    await page.get_by_label("Tool", exact=True).select_option("power.set_idle_threshold")
    await expect(entries).to_have_count(60)
    await entries.first.locator("summary").click()
    await expect(entries.first).to_contain_text(MARKUP)
    await expect(entries.first).not_to_contain_text("hunter2")
    await page.get_by_label("Decision").select_option("refused")
    await expect(page.locator("#audit")).to_have_text("No entry fits the filter.")
    assert await page.locator("#audit img").count() == 0
