"""The camera watcher as a whole: a video, a real detector, observations, pictures, descriptions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from pipecatapp.domain import VisionAnswer
from pipecatapp.errors import ConfigurationError
from pipecatapp.events import Observation
from pipecatapp.ports import ToolContext
from pipecatapp.tools.vision import Observation as ObservationTool
from pipecatapp.vision.camera import Camera, Timeouts
from pipecatapp.vision.camera_watcher import CameraWatcher, NoCamera
from pipecatapp.vision.capture import CameraError, Capture
from pipecatapp.vision.moondream import Moondream
from pipecatapp.vision.pictures import Detector, Picture, Thing
from pipecatapp.vision.registry import create_camera_watcher
from pipecatapp.vision.source import Source, parse_source
from pipecatapp.vision.yolov8 import YOLOv8Detector
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.cameras import (
    COLOURS,
    SQUARES,
    HttpCamera,
    ScriptedCapture,
    ScriptedDetector,
    number_of,
    squares,
    write_video,
)
from testing.fakes.mission import Mission
from testing.fakes.moondream import Mood, MoondreamServer

pytestmark = pytest.mark.integration

CONTEXT = ToolContext("c", "t", words="what am I holding")
CUP, PERSON = ("cup", 96, 64), ("person", 320, 240)


class Looking:
    """Camera watchers that are open, and what they have said so far."""

    def __init__(self, watcher: CameraWatcher, sink: RecordingSink) -> None:
        self.watcher, self.sink = watcher, sink
        watcher.start()

    @property
    def observations(self) -> list[str]:
        return [event.text for event in self.sink.of(Observation)]

    async def until(self, what: Callable[[], object], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{self.watcher.trouble or self.watcher.view()} {self.observations}"
            await asyncio.sleep(0.02)


Open = Callable[..., Looking]


@pytest.fixture
def look() -> Iterator[Open]:
    opened: list[Looking] = []

    def open_watcher(
        camera: Camera | str,
        load: Callable[[], Detector] | None = lambda: YOLOv8Detector(SQUARES),
        describer: Moondream | None = None,
        busy: Callable[[], bool] = lambda: False,
    ) -> Looking:
        sink = RecordingSink()
        if isinstance(camera, str):
            camera = Camera(parse_source(camera), timeouts=Timeouts(hangs_after=1.0, grace=0.2))
        watcher = CameraWatcher(camera, load, "squares" if load else "none", sink, describer=describer, busy=busy)
        opened.append(Looking(watcher, sink))
        return opened[-1]

    yield open_watcher
    for looking in opened:
        looking.watcher.stop()


async def test_what_comes_and_goes_in_a_video_is_observed_once_each(look: Open, tmp_path: Path) -> None:
    scenes: list[tuple[int, list[tuple[str, int, int]]]] = [
        (60, [CUP]), (60, [CUP, PERSON]), (60, [CUP, ("cup", 480, 64), PERSON]), (60, [PERSON]), (80, []),
    ]  # fmt: skip
    looking = look(str(write_video(tmp_path / "room.avi", scenes, rate=15)))
    told = [
        "I see a cup.",
        "I see a person and a cup.",
        "I see a person and two cups.",
        "I see a person.",
        "I see nothing that I know.",
    ]
    await looking.until(lambda: len(looking.observations) >= len(told))
    assert looking.observations[: len(told)] == told
    first, second = looking.sink.of(Observation)[:2]
    assert (list(first.things), list(second.things)) == (["cup"], ["person", "cup"])


async def test_what_stays_is_no_news(look: Open, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "desk.png"), squares(CUP, PERSON))
    looking = look(str(tmp_path / "desk.png"))
    await looking.until(lambda: looking.observations)
    await asyncio.sleep(2.0)  # several looks; fewer on a busy machine change nothing
    assert looking.observations == ["I see a person and a cup."]
    assert looking.watcher.glance() == "I see a person and a cup."
    state = await looking.watcher.health()
    assert (state.ok, state.vital, state.reason) == (True, False, f"squares, {tmp_path / 'desk.png'}")


async def test_a_slow_detector_gets_the_latest_picture_and_never_one_twice(look: Open) -> None:
    capture = ScriptedCapture(every_s=0.01)
    ages: list[int] = []

    def found(picture: Picture) -> list[Thing]:
        ages.append(capture.grabbed - number_of(picture))
        time.sleep(0.15)
        return []

    detector = ScriptedDetector(found)
    looking = look(Camera(parse_source("0"), lambda _: capture), lambda: detector)
    await looking.until(lambda: len(detector.pictures) >= 8)
    numbers = [number_of(picture) for picture in detector.pictures]
    assert numbers == sorted(set(numbers))
    # It came while the detector was about to begin; in a queue the last one would be a hundred pictures old.
    assert max(ages) <= 30
    assert capture.grabbed > 4 * len(numbers)  # the others were passed over


async def test_a_camera_that_vanishes_is_trouble_and_what_is_still_there_is_no_news(look: Open) -> None:
    with HttpCamera() as http:
        http.show = squares(CUP)
        looking = look(http.url)
        await looking.until(lambda: looking.observations == ["I see a cup."])
        http.vanish()
        await looking.until(lambda: looking.watcher.trouble)
        state = await looking.watcher.health()
        assert not state.ok
        assert "http://127.0.0.1" in state.reason
        assert "secret" not in state.reason
        assert looking.watcher.glance() == "The camera shows me nothing now."
        assert (await looking.watcher.look()).text.startswith("I cannot see anything now: http://127.0.0.1")
        http.return_()
        await looking.until(lambda: not looking.watcher.trouble)
        http.show = squares(CUP, PERSON)
        await looking.until(lambda: len(looking.observations) == 2)
        assert looking.observations == ["I see a cup.", "I see a person and a cup."]


async def test_a_camera_that_hangs_is_told_by_health(look: Open) -> None:
    with HttpCamera() as http:
        looking = look(http.url)
        await looking.until(lambda: looking.watcher.view().at)
        http.hanging.set()
        await looking.until(lambda: "hangs: no picture for" in looking.watcher.trouble)
        state = await looking.watcher.health()
        assert (state.component, state.ok) == ("vision", False)
        assert "hangs" in looking.watcher.view().trouble


async def test_a_look_that_is_asked_for_is_fresh_also_while_the_voice_is_busy(look: Open) -> None:
    with HttpCamera() as http:
        busy = False
        http.show = squares(CUP)
        looking = look(http.url, busy=lambda: busy)
        await looking.until(lambda: looking.observations)
        busy = True
        await asyncio.sleep(1.0)
        http.show = squares(PERSON)
        await asyncio.sleep(1.0)
        assert looking.observations == ["I see a cup."]
        # On a machine that has much to do older pictures may still be under way from the camera.
        async with asyncio.timeout(60):
            while (answer := await looking.watcher.look()) == VisionAnswer("I see a cup.", "squares"):
                await asyncio.sleep(0.1)
        assert answer == VisionAnswer("I see a person.", "squares")


async def test_a_detector_that_breaks_is_trouble_and_the_watcher_goes_on(look: Open) -> None:
    def broken() -> Detector:
        raise ConfigurationError("the model is damaged; run: pipecatapp models pull yolov8n")

    looking = look(Camera(parse_source("0"), lambda _: ScriptedCapture()), broken)
    await looking.until(lambda: looking.watcher.trouble)
    assert "pipecatapp models pull yolov8n" in (await looking.watcher.health()).reason
    assert (await looking.watcher.look()).text.startswith("I cannot see anything now: the model is damaged")

    def unsure(_: Picture) -> list[Thing]:
        raise RuntimeError("out of memory")

    looking = look(Camera(parse_source("0"), lambda _: ScriptedCapture()), lambda: ScriptedDetector(unsure))
    await looking.until(lambda: looking.watcher.trouble)
    assert looking.watcher.trouble == "looking failed: RuntimeError: out of memory"


# --- the tool, and a model that describes


async def test_without_a_camera_the_tool_says_so() -> None:
    result = await ObservationTool(NoCamera()).run({}, CONTEXT)
    assert (result.text, result.ok) == ("There is no camera.", True)


async def test_a_camera_that_cannot_be_opened_is_said_with_its_reason(look: Open) -> None:
    def absent(_: Source) -> Capture:
        raise CameraError("there is no camera 0 (/dev/video0); plug one in, or set CAMERA")

    looking = look(Camera(parse_source("0"), absent))
    text = (await ObservationTool(looking.watcher).run({}, CONTEXT)).text
    assert text == "I cannot see anything now: there is no camera 0 (/dev/video0); plug one in, or set CAMERA."


async def test_moondream_describes_the_picture_for_the_question(look: Open) -> None:
    with HttpCamera() as http, MoondreamServer() as server:
        http.show = squares(CUP)
        looking = look(http.url, describer=Moondream(f"{server.url}/v1/"))
        tool = ObservationTool(looking.watcher)
        assert tool.spec.untrusted
        result = await tool.run({}, CONTEXT)
        assert (result.text, result.detail) == ("A person sits at a desk with a red cup.", "moondream")
        ((words, picture),) = server.asked
        assert "what am I holding" in words
        left, top = CUP[1], CUP[2]
        seen = picture[top + 20 : top + 40, left + 20 : left + 40].mean(axis=(0, 1))
        assert np.abs(seen - COLOURS["cup"]).max() < 30


@pytest.mark.parametrize(
    ("mood", "note"),
    [
        ("hangs", "did not answer within"),
        ("trickles", "did not answer within"),
        ("loads", "answered 503: Loading model"),
        ("no projector", "answered 500: image input is not supported"),
        ("nonsense", "cannot be understood"),
        ("no text", "cannot be understood"),
        ("endless", "cannot be understood"),
        ("silent", "had nothing to say"),
    ],
)
async def test_when_moondream_fails_the_detectors_words_are_the_answer(look: Open, mood: Mood, note: str) -> None:
    with HttpCamera() as http, MoondreamServer() as server:
        http.show = squares(CUP)
        server.mood = mood
        looking = look(http.url, describer=Moondream(server.url, within_s=1.0 if "within" in note else 60.0))
        result = await ObservationTool(looking.watcher).run({}, CONTEXT)
        assert result.text == "I see a cup."
        assert note in result.detail


async def test_a_moondream_that_hung_is_not_waited_for_again_at_once(look: Open) -> None:
    now = 0.0
    with HttpCamera() as http, MoondreamServer() as server:
        http.show = squares(CUP)
        server.mood = "hangs"
        looking = look(http.url, describer=Moondream(server.url, within_s=5.0, clock=lambda: now))
        await looking.watcher.look()
        server.mood = "answers"
        assert (await looking.watcher.look()).by == "squares"
        assert len(server.asked) == 1
        now += 61
        assert (await looking.watcher.look()).by == "moondream"


async def test_an_absent_moondream_is_noticed_at_once(look: Open) -> None:
    with MoondreamServer() as server:
        url = server.url
    with HttpCamera() as http:
        http.show = squares(CUP)
        answer = await look(http.url, describer=Moondream(url)).watcher.look()
        assert answer.text == "I see a cup."
        assert "cannot be reached" in answer.note


async def test_moondream_alone_describes_and_says_when_it_cannot(look: Open) -> None:
    with HttpCamera() as http, MoondreamServer(answer="word " * 200) as server:
        looking = look(http.url, None, Moondream(server.url, within_s=60.0))
        answer = await looking.watcher.look()
        assert answer.by == "moondream"
        assert len(answer.text) <= 403
        server.mood = "loads"
        assert "Loading model" in (await looking.watcher.look()).text
        assert looking.watcher.glance() == ""


# --- the page


@pytest.fixture
async def mission(tmp_path: Path) -> AsyncIterator[Mission]:
    mission = Mission(tmp_path / "state")
    yield mission
    await mission.stop()


def client(mission: Mission) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {mission.token}"}
    return httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False)


async def test_without_a_camera_the_page_is_told_so(mission: Mission) -> None:
    await mission.start()
    async with client(mission) as http:
        assert (await http.get("/api/camera")).json()["on"] is False
        missing = await http.get("/api/camera/picture")
        assert missing.status_code == 404
        assert "there is no camera" in missing.json()["error"]["message"]
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as stranger:
        assert (await stranger.get("/api/camera/picture")).status_code == 401


async def test_the_page_gets_the_annotated_picture(look: Open, mission: Mission, tmp_path: Path) -> None:
    import cv2

    large = cv2.resize(squares(CUP), (1600, 1200), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "desk.png"), large)
    watcher = create_camera_watcher("yolov8", str(tmp_path / "desk.png"), _models(tmp_path), RecordingSink())
    assert isinstance(watcher, CameraWatcher)
    mission.camera = watcher  # type: ignore[assignment]
    await mission.start()
    async with client(mission) as http:
        assert (await http.get("/api/camera/picture")).status_code == 404
        watcher.start()
        try:
            async with asyncio.timeout(40):
                while (await http.get("/api/camera")).json()["text"] == "":
                    await asyncio.sleep(0.05)
            state = (await http.get("/api/camera")).json()
            response = await http.get("/api/camera/picture")
        finally:
            await asyncio.to_thread(watcher.stop)
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"
    assert (state["on"], state["detector"], state["text"]) == (True, "yolov8n", "I see a cup.")
    assert (state["things"], state["trouble"]) == (["cup"], "")
    assert abs(state["at"] - time.time()) < 300
    picture = cv2.imdecode(np.frombuffer(response.content, np.uint8), 1)
    assert picture.shape == (720, 960, 3)
    plain = cv2.resize(large, (960, 720), interpolation=cv2.INTER_AREA)
    assert (np.abs(picture.astype(int) - plain).max(axis=2) > 100).sum() > 300  # a box and a name were drawn


def _models(folder: Path) -> Path:
    (folder / "models/yolov8n").mkdir(parents=True)
    (folder / "models/yolov8n/yolov8n.onnx").write_bytes(SQUARES.read_bytes())
    return folder / "models"
