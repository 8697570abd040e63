"""The camera watcher over time: its share of the processor, its rest while somebody speaks, a look when asked."""

from __future__ import annotations

import random

import pytest

from pipecatapp.events import StateChanged
from pipecatapp.vision.attention import BELIEVED_S, Attention
from pipecatapp.vision.camera import Frame
from pipecatapp.vision.camera_watcher import CameraWatcher
from pipecatapp.vision.pace import LEAST_S, LEAST_SHARE, MOST_S, SHARE, rest_after
from pipecatapp.vision.pictures import Thing
from pipecatapp.vision.source import parse_source
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.cameras import JumpingClock, ScriptedDetector, numbered

pytestmark = pytest.mark.unit


class TickingCamera:
    """The outside of ``Camera``: a new picture at every look, which costs so much to read."""

    def __init__(self, read_s: float = 0.0) -> None:
        self.source = parse_source("0")
        self.trouble = self.note = ""
        self.cpu_s = 0.0
        self._read_s = read_s
        self.looks = 0

    def fresh(self, timeout: float) -> Frame:
        self.looks += 1
        self.cpu_s += self._read_s
        return Frame(numbered(self.looks), 0.0)


def watcher_on(camera: TickingCamera, detector: ScriptedDetector, clock: JumpingClock) -> CameraWatcher:
    watcher = CameraWatcher(camera, lambda: detector, "scripted", RecordingSink(), clock=clock)  # type: ignore[arg-type]
    watcher._detector = detector
    return watcher


@pytest.mark.parametrize("read_s", [0.0, 0.02])
@pytest.mark.parametrize("slowest", [0.02, 0.3, 3.0])
def test_looking_takes_no_more_than_its_share_of_one_core(slowest: float, read_s: float) -> None:
    clock, rng = JumpingClock(), random.Random(2)
    worked = 0.0

    def work() -> None:
        nonlocal worked
        seconds = rng.uniform(0.01, slowest)
        worked += seconds
        clock.now += seconds

    camera = TickingCamera(read_s)
    watcher = watcher_on(camera, ScriptedDetector(lambda _: [], work), clock)
    began = clock.now
    for _ in range(200):
        rest = watcher.once()
        clock.now += rest
    assert (worked + camera.cpu_s) / (clock.now - began) <= SHARE + 1e-9


async def test_a_stream_that_is_costly_to_read_is_said_and_still_looked_at() -> None:
    clock = JumpingClock()

    def work() -> None:
        clock.now += 0.1

    camera = TickingCamera()
    watcher = watcher_on(camera, ScriptedDetector(lambda _: [], work), clock)
    for _ in range(50):
        rest = watcher.once()
        clock.now += rest
        camera.cpu_s += 0.6 * (rest + 0.1)
    assert rest <= 0.1 / LEAST_SHARE
    assert "choose a smaller stream" in (await watcher.health()).reason
    for _ in range(2):
        clock.now += watcher.once() + 1.0
    assert "choose a smaller stream" not in (await watcher.health()).reason


def test_a_rest_is_never_shorter_nor_longer_than_makes_sense() -> None:
    assert rest_after(0.0) == LEAST_S
    assert rest_after(1.0) == pytest.approx(3.0)
    assert rest_after(3600.0) == MOST_S


def test_the_voice_comes_first_but_not_for_ever() -> None:
    clock = JumpingClock()
    attention = Attention(clock)
    assert not attention.busy()
    for state in ("listening", "thinking", "speaking"):
        attention.observe(StateChanged(conversation="a", state=state))  # type: ignore[arg-type]
        assert attention.busy()
    attention.observe(StateChanged(conversation="b", state="idle"))
    assert attention.busy()
    clock.now += BELIEVED_S
    assert not attention.busy()
    attention.observe(StateChanged(conversation="a", state="speaking"))
    attention.observe(StateChanged(conversation="a", state="idle"))
    assert not attention.busy()


def test_a_glance_is_the_last_observation_and_says_when_the_camera_is_gone() -> None:
    camera = TickingCamera()
    seen = [Thing("cup", 1, 0.9, (0, 0, 5, 5))]
    watcher = watcher_on(camera, ScriptedDetector(lambda _: seen), JumpingClock())
    assert watcher.glance() == ""
    for _ in range(5):
        watcher.once()
    assert watcher.glance() == "I see a cup."
    camera.trouble = "camera 0 hangs"
    assert watcher.glance() == "The camera shows me nothing now."
    camera.trouble = ""
    assert watcher.glance() == "I see a cup."
