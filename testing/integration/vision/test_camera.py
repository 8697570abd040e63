"""The camera's thread: the latest picture wins, sources end, vanish, return and hang."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipecatapp.vision.camera import LEFT_BEHIND, Camera, Frame, Timeouts
from pipecatapp.vision.capture import CameraError, Capture, open_capture
from pipecatapp.vision.source import Source, parse_source
from testing.fakes.cameras import HttpCamera, ScriptedCapture, number_of, squares, write_video

pytestmark = pytest.mark.integration

QUICK = Timeouts(hangs_after=0.3, grace=0.2, backoff_first=0.02, backoff_most=0.1)
DEVICE = parse_source("0")


@pytest.fixture
def watch() -> Iterator[Callable[..., Camera]]:
    cameras: list[Camera] = []

    def started(
        source: Source, opener: Callable[[Source], Capture] = open_capture, timeouts: Timeouts = QUICK
    ) -> Camera:
        camera = Camera(source, opener, timeouts=timeouts)
        cameras.append(camera)
        camera.start()
        return camera

    yield started
    for camera in cameras:
        camera.stop()


def wait_for(what: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def picture_of(camera: Camera) -> Frame:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (frame := camera.fresh(1.0)) is not None:
            return frame
    raise AssertionError(camera.trouble)


def test_the_latest_picture_wins_however_slow_its_reader(watch: Callable[..., Camera]) -> None:
    capture = ScriptedCapture()
    camera = watch(DEVICE, lambda _: capture)
    for _ in range(3):
        before = capture.grabbed
        number = number_of(picture_of(camera).picture)
        assert number > before
        time.sleep(0.2)  # a slow detector; the source goes on
        assert capture.grabbed > number
    # What nobody asked for was never decoded.
    assert len(capture.retrieved) == 3


def test_a_device_that_is_not_there_is_said_and_tried_again(watch: Callable[..., Camera]) -> None:
    tries = []

    def opener(source: Source) -> Capture:
        tries.append(source)
        if len(tries) < 4:
            raise CameraError("there is no camera 0; plug one in")
        return ScriptedCapture()

    camera = watch(DEVICE, opener)
    wait_for(lambda: camera.trouble == "there is no camera 0; plug one in")
    picture_of(camera)
    assert camera.trouble == ""
    assert len(tries) == 4


@pytest.mark.parametrize("end", [False, OSError("the bus is gone"), RuntimeError("cv2 raised something")])
def test_a_source_that_vanishes_is_trouble_and_returns(watch: Callable[..., Camera], end: object) -> None:
    captures: list[ScriptedCapture] = []
    there = threading.Event()
    there.set()

    def opener(_: Source) -> Capture:
        if not there.is_set():
            raise CameraError("camera 0 was unplugged")
        captures.append(ScriptedCapture())
        return captures[-1]

    camera = watch(DEVICE, opener)
    picture_of(camera)
    there.clear()
    captures[0]._steps.append(end)
    wait_for(lambda: camera.trouble == "camera 0 was unplugged")
    assert captures[0].closed
    assert camera.fresh(0.05) is None
    there.set()
    picture_of(camera)
    assert camera.trouble == ""


def test_a_short_gap_is_no_trouble(watch: Callable[..., Camera]) -> None:
    captures: list[ScriptedCapture] = []

    def opener(_: Source) -> Capture:
        captures.append(ScriptedCapture([True] * 5 + [False]))
        return captures[-1]

    camera = watch(DEVICE, opener, Timeouts(grace=60.0, backoff_first=0.01))
    wait_for(lambda: len(captures) > 3 and camera.fresh(0.5))
    assert camera.trouble == ""


def test_a_source_that_hangs_is_noticed_and_opened_again(watch: Callable[..., Camera]) -> None:
    released = threading.Event()
    captures: list[ScriptedCapture] = []

    def opener(_: Source) -> Capture:
        captures.append(ScriptedCapture([True, True, released.wait] if not captures else []))
        return captures[-1]

    camera = watch(DEVICE, opener)
    wait_for(lambda: "hang" in camera.trouble or (camera.fresh(0.1) and len(captures) > 1))
    picture_of(camera)
    assert len(captures) == 2
    assert camera.trouble == ""
    released.set()
    wait_for(lambda: captures[0].closed)


def test_a_driver_that_always_hangs_costs_a_few_threads_only(watch: Callable[..., Camera]) -> None:
    released = threading.Event()
    opened = []

    def opener(_: Source) -> Capture:
        opened.append(1)
        released.wait()
        raise CameraError("it gave up")

    camera = watch(DEVICE, opener)
    wait_for(lambda: camera.fresh(0.05) is None and len(opened) > LEFT_BEHIND)
    for _ in range(20):
        camera.fresh(0.05)
    assert len(opened) == LEFT_BEHIND + 1
    wait_for(lambda: "camera 0 hangs: no picture for" in camera.trouble)
    released.set()


def test_a_video_is_played_at_its_own_rate_again_and_again(watch: Callable[..., Camera], tmp_path: Path) -> None:
    video = write_video(tmp_path / "garden.avi", [(10, [("cup", 96, 64)])], rate=20)
    camera = watch(parse_source(str(video)))
    began = time.monotonic()
    picture_of(camera)
    assert camera.note == ""
    wait_for(lambda: camera.note == "the video is played again and again")
    assert time.monotonic() - began >= 0.4  # ten pictures at twenty a second, the first one at once
    picture_of(camera)
    assert camera.trouble == ""


@pytest.mark.parametrize("name", ["absent.mp4", "absent.png", "text.mp4", "text.png"])
def test_a_file_without_pictures_is_said(watch: Callable[..., Camera], tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.png").write_text("no picture")
    camera = watch(parse_source(str(tmp_path / name)))
    camera.fresh(0.3)
    wait_for(lambda: camera.trouble)
    assert name in camera.trouble


def test_a_picture_is_news_only_when_it_was_replaced(watch: Callable[..., Camera], tmp_path: Path) -> None:
    import cv2

    file = tmp_path / "door.png"
    cv2.imwrite(str(file), squares())
    camera = watch(parse_source(str(file)))
    first = picture_of(camera)
    assert picture_of(camera) is first
    fresh = tmp_path / "fresh.png"
    cv2.imwrite(str(fresh), squares(("cup", 96, 64)))
    fresh.replace(file)
    wait_for(lambda: camera.fresh(1.0) not in (None, first))
    # Half written: the one before stays.
    shown = picture_of(camera)
    file.write_bytes(file.read_bytes()[:100])
    assert picture_of(camera) is shown
    assert camera.trouble == ""


def test_a_camera_on_http_vanishes_and_returns(watch: Callable[..., Camera]) -> None:
    with HttpCamera() as http:
        camera = watch(parse_source(http.url))
        assert picture_of(camera).picture.shape == (480, 640, 3)
        http.vanish()
        wait_for(lambda: camera.trouble)
        assert "secret" not in camera.trouble
        http.return_()
        wait_for(lambda: camera.fresh(1.0))
        assert camera.trouble == ""


def test_a_camera_on_http_that_hangs_is_noticed(watch: Callable[..., Camera]) -> None:
    with HttpCamera() as http:
        camera = watch(parse_source(http.url), timeouts=Timeouts(hangs_after=1.0, grace=0.2))
        picture_of(camera)
        http.hanging.set()
        wait_for(lambda: "hangs: no picture for" in camera.trouble)
        http.hanging.clear()
        picture_of(camera)
        wait_for(lambda: not camera.trouble)


def test_a_device_that_is_no_camera_is_said() -> None:
    for name, said in (("/dev/video99", "there is no camera 99"), ("/dev/video_none", "there is no")):
        with pytest.raises(CameraError, match=said):
            open_capture(parse_source(name))


def test_reading_a_video_takes_its_share_of_a_core_at_most(watch: Callable[..., Camera], tmp_path: Path) -> None:
    video = write_video(tmp_path / "quick.avi", [(100, [("cup", 96, 64)])], rate=120)
    camera = watch(parse_source(str(video)))
    picture_of(camera)
    cost, began = camera.cpu_s, time.monotonic()
    time.sleep(2.0)
    assert camera.cpu_s - cost <= 0.35 * (time.monotonic() - began)
    shutil.rmtree(tmp_path)
