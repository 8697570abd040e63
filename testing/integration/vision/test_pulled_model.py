"""``pipecatapp models pull yolov8n`` puts the file where the detector looks."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import yaml

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.llm.download import Downloader
from pipecatapp.llm.pull import ModelStore, UnverifiedError
from pipecatapp.machine import detect
from pipecatapp.vision.registry import create_camera_watcher, find_model
from pipecatapp.vision.yolov8 import YOLOv8Detector
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.cameras import SQUARES
from testing.fakes.hub import running_hub

pytestmark = pytest.mark.integration

CATALOGUE = Path(__file__).resolve().parents[3] / "group_vars/models.yaml"


def test_the_pulled_model_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with running_hub() as hub, httpx.Client(trust_env=False) as http:
        (entry,) = (m for m in yaml.safe_load(CATALOGUE.read_text())["vision_models"] if m["name"] == "yolov8n")
        # Another detector of the same kind stands in for the file, which cannot be had here.
        entry["variants"][0]["files"][0]["url"] = hub.put("yolov8n.onnx", SQUARES.read_bytes())
        file = tmp_path / "models.yaml"
        file.write_text(yaml.safe_dump({"vision_models": [entry]}))
        model = Catalogue.load(file).find("yolov8n").model
        store = ModelStore(models, detect(), Downloader(http))

        with pytest.raises(ConfigurationError, match="pipecatapp models pull yolov8n"):
            find_model(models)
        with pytest.raises(UnverifiedError, match="pull yolov8n --accept-unverified"):
            store.pull(model, lambda *at: None)
        store.pull(model, lambda *at: None, accept_unverified=True)

    assert YOLOv8Detector(find_model(models)).name == "yolov8n"
    assert create_camera_watcher("yolov8", "0", models, RecordingSink()).view().detector == "yolov8n"
