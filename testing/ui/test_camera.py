"""What the camera sees, on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from pipecatapp.domain import CameraView
from pipecatapp.events import Observation
from testing.fakes.mission import Mission
from testing.ui.conftest import JPEG, MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_camera_that_is_off_says_how_to_turn_it_on(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)

    await open_tab(page, "Camera")

    await expect(page.locator("#camera-off")).to_contain_text("CAMERA")
    await expect(page.locator("#camera-on")).to_be_hidden()


async def test_the_camera_shows_what_it_sees_as_long_as_one_looks(mission: Mission, open_page: OpenPage) -> None:
    seen = CameraView(True, "/dev/video0", "yolov8", "I see a person.", ("person",), 1000.0, "")
    mission.camera.state, mission.camera.image = seen, JPEG
    page = await open_page(mission.link)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/camera" in request.url else None)
    await open_tab(page, "Camera")
    picture = page.get_by_role("img", name="I see a person.")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 1)

    text = f"I see a person and a {MARKUP}."
    mission.camera.state = replace(seen, text=text, things=("person", MARKUP), at=1001.0)
    mission.hub.emit(Observation(text=text, things=("person", MARKUP)))
    await expect(page.locator("#camera-text")).to_have_text(text)
    await expect(page.locator("#camera-things li")).to_have_count(2)
    mission.camera.state = replace(seen, at=1002.0, trouble="/dev/video0 was unplugged")
    await expect(page.locator("#camera-trouble")).to_have_text("/dev/video0 was unplugged")
    await open_tab(page, "Log")
    asked.clear()
    await page.wait_for_timeout(2500)

    assert asked == []
    assert await page.locator("#panel img").count() == 1
