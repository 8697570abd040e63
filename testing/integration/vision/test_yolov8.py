"""The detector with a real ONNX: what it finds, and what it says of files that are no YOLOv8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.vision.yolov8 import YOLOv8Detector
from testing.fakes.cameras import SIDE, SQUARES, squares

pytestmark = pytest.mark.integration

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture(scope="module")
def detector() -> YOLOv8Detector:
    return YOLOv8Detector(SQUARES)


def test_things_are_found_where_they_are(detector: YOLOv8Detector) -> None:
    places = {("person", 96, 64), ("cup", 320, 240), ("cup", 480, 64), ("umbrella", 96, 352)}
    found = detector.detect(squares(*places))
    assert sorted(thing.label for thing in found) == ["cup", "cup", "person", "umbrella"]
    for thing in found:
        left, top = thing.box[:2]
        offsets = [max(abs(left - x), abs(top - y)) for what, x, y in places if what == thing.label]
        assert min(offsets) <= 16
        assert thing.box[2] - thing.box[0] == pytest.approx(SIDE, abs=2)
        assert thing.score > 0.5


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (640, 640), (200, 640)])
def test_pictures_of_any_shape_keep_their_proportions(detector: YOLOv8Detector, size: tuple[int, int]) -> None:
    (thing,) = detector.detect(squares(("person", 32, 112), width=size[0], height=size[1]))
    assert thing.label == "person"
    assert max(abs(a - b) for a, b in zip(thing.box, (32, 112, 32 + SIDE, 112 + SIDE), strict=True)) <= 18


def test_an_empty_picture_has_nothing(detector: YOLOv8Detector) -> None:
    assert detector.detect(squares()) == []
    assert detector.detect(np.zeros((1, 1, 3), np.uint8)) == []


def damaged(folder: Path) -> Path:
    file = folder / "yolov8n.onnx"
    file.write_bytes(SQUARES.read_bytes()[: SQUARES.stat().st_size // 2])
    return file


def no_model(folder: Path) -> Path:
    file = folder / "yolov8n.onnx"
    file.write_text("<html>not found</html>")
    return file


def with_names(folder: Path, old: bytes, new: bytes) -> Path:
    assert len(old) == len(new)
    data = SQUARES.read_bytes()
    assert data.count(old) == 1
    file = folder / "yolov8n.onnx"
    file.write_bytes(data.replace(old, new))
    return file


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: folder / "absent.onnx", "there is no"),
        (damaged, "damaged or no ONNX model"),
        (no_model, "damaged or no ONNX model"),
        (lambda _: FIXTURES / "speech/hum.onnx", "does not take one picture"),
        (lambda _: FIXTURES / "speech/kokoro/kokoro-hum.onnx", "does not take one picture"),
        (lambda folder: with_names(folder, b"detect", b"segmen"), "task 'segmen'"),
        (lambda folder: with_names(folder, b"2: 'umbrella'", b"1: 'umbrella'"), "another layout|names"),
        (lambda folder: with_names(folder, b"{0: 'person'", b"[0: 'person'"), "names of its classes"),
        (lambda folder: with_names(folder, b"'umbrella'}", b"__import__}"), "names of its classes"),
    ],
)
def test_a_file_that_is_no_yolov8_is_refused_with_the_next_step(tmp_path: Path, make: object, problem: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        YOLOv8Detector(make(tmp_path))
    assert "scripts/export_yolo" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_name_is_a_few_plain_words(tmp_path: Path) -> None:
    file = with_names(tmp_path, b"'umbrella'", b"'<s>\\n[x]'")
    (thing,) = YOLOv8Detector(file).detect(squares(("umbrella", 96, 64)))
    assert thing.label == "s x"
