"""What CAMERA names, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError, MissingExtraError, UnknownChoiceError
from pipecatapp.vision.camera_watcher import CameraWatcher, NoCamera
from pipecatapp.vision.registry import create_camera_watcher, vision_choices
from pipecatapp.vision.source import parse_source
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.cameras import SQUARES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("camera", "kind", "address"),
    [
        ("0", "device", "0"),
        (" 02 ", "device", "2"),
        ("/dev/video1", "device", "1"),
        ("rtsp://cam/live", "url", "rtsp://cam/live"),
        ("http://cam:8080/video", "url", "http://cam:8080/video"),
        ("/srv/garden.mp4", "video", "/srv/garden.mp4"),
        ("door.JPG", "picture", "door.JPG"),
    ],
)
def test_a_source_is_known_by_how_it_is_written(camera: str, kind: str, address: str) -> None:
    source = parse_source(camera)
    assert (source.kind, source.address) == (kind, address)


def test_the_password_of_a_camera_is_never_shown() -> None:
    source = parse_source("rtsp://admin:pa@ss@cam:554/live?key=secret")
    assert source.address == "rtsp://admin:pa@ss@cam:554/live?key=secret"
    assert source.shown == "rtsp://cam:554/live"


def test_a_url_that_cannot_be_watched_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match=r"concat://.*rtsp"):
        parse_source("concat:///etc/passwd")


def create(
    service: str, models: Path, *, cv2: bool = True, url: str = "", camera: str = "0"
) -> CameraWatcher | NoCamera:
    sink = RecordingSink()
    return create_camera_watcher(service, camera, models, sink, moondream_url=url, installed=lambda _: cv2)


async def test_no_service_is_no_camera(tmp_path: Path) -> None:
    eyes = create("none", tmp_path, cv2=False)
    assert isinstance(eyes, NoCamera)
    assert (await eyes.look()).text == "There is no camera."
    assert eyes.glance() == ""


def test_an_unknown_service_is_answered_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UnknownChoiceError, match="none, yolov8"):
        create("yolo9000", tmp_path)
    assert vision_choices() == ["none", "yolov8"]


def test_a_missing_extra_is_answered_with_its_command(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="pipecatapp extras install vision"):
        create("yolov8", tmp_path, cv2=False)


def test_a_missing_model_is_answered_with_its_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="scripts/export_yolo"):
        create("yolov8", tmp_path / "models")


def test_the_pulled_model_is_found_before_others(tmp_path: Path) -> None:
    for name in ("a/yolo-own.onnx", "yolov8n/yolov8n.onnx"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(SQUARES.read_bytes())
    eyes = create("yolov8", tmp_path)
    assert eyes.view().detector == "yolov8n"
    (tmp_path / "yolov8n/yolov8n.onnx").unlink()
    assert create("yolov8", tmp_path).view().detector == "yolo-own"


def test_a_model_that_describes_works_without_a_detector(tmp_path: Path) -> None:
    eyes = create("none", tmp_path, url="http://127.0.0.1:8082")
    assert isinstance(eyes, CameraWatcher)
    assert eyes.describes
    assert eyes.view().detector == "none"
