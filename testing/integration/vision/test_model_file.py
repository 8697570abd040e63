"""A model that was put into the models folder, as docs/howto/give-it-eyes.md says, is the one that is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.vision.registry import create_camera_watcher, find_model
from pipecatapp.vision.yolov8 import YOLOv8Detector
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.cameras import SQUARES

pytestmark = pytest.mark.integration


def test_the_model_in_its_folder_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="scripts/export_yolo"):
        find_model(tmp_path)

    # Another detector of the same kind stands in for the file, which cannot be had here.
    (tmp_path / "yolov8n").mkdir()
    shutil.copy(SQUARES, tmp_path / "yolov8n/yolov8n.onnx")

    assert YOLOv8Detector(find_model(tmp_path)).name == "yolov8n"
    assert create_camera_watcher("yolov8", "0", tmp_path, RecordingSink()).view().detector == "yolov8n"
