"""Object detectors by name.

| VISION_SERVICE | needs |
|---|---|
| `yolov8` | extra `vision`, a `yolo*.onnx` in `MODELS_DIR` |
| `none` | nothing: nothing is detected |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipecatapp.choices import Choice, is_installed
from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.ports import EventSink
from pipecatapp.vision.camera import Camera
from pipecatapp.vision.camera_watcher import CameraWatcher, NoCamera
from pipecatapp.vision.moondream import Moondream
from pipecatapp.vision.pictures import Detector
from pipecatapp.vision.source import parse_source
from pipecatapp.vision.yolov8 import HOW_TO_GET_ONE, MODEL

NONE = "none"
_MODELS = "yolo*.onnx"


# The target takes the file of the model and returns the detector.
DETECTORS = {"yolov8": Choice("pipecatapp.vision.yolov8:YOLOv8Detector", "vision")}
# Pictures are taken with it, whoever looks at them.
_CAMERA = Choice("pipecatapp.vision.camera:Camera", "vision")


def vision_choices() -> list[str]:
    """The names that ``VISION_SERVICE`` may have."""
    return [NONE, *DETECTORS]


def create_camera_watcher(
    service: str,
    camera: str,
    models: Path,
    sink: EventSink,
    *,
    moondream_url: str = "",
    busy: Callable[[], bool] = lambda: False,
    installed: Callable[[str], bool] = is_installed,
) -> CameraWatcher | NoCamera:
    """The camera watcher that the settings ask for; opens and loads nothing.

    Raises:
        UnknownChoiceError: no detector has this name.
        MissingExtraError: OpenCV is absent.
        ConfigurationError: there is no model, or ``CAMERA`` cannot be watched.
    """
    if service not in vision_choices():
        raise UnknownChoiceError("VISION_SERVICE", service, vision_choices())
    if service == NONE and not moondream_url:
        return NoCamera()
    _CAMERA.need_extra("the camera", installed)
    source = parse_source(camera)
    load: Callable[[], Detector] | None = None
    name = NONE
    if service != NONE:
        detector, file = DETECTORS[service], find_model(models)
        load, name = (lambda: detector.load()(file)), file.stem
    describer = Moondream(moondream_url) if moondream_url else None
    return CameraWatcher(Camera(source), load, name, sink, describer=describer, busy=busy)


def find_model(models: Path) -> Path:
    """The detector's model: that of the catalogue, or another of its family, at any depth.

    Raises:
        ConfigurationError: there is none.
    """
    pulled = models / MODEL / f"{MODEL}.onnx"
    found = [pulled] if pulled.is_file() else sorted(models.rglob(_MODELS)) if models.is_dir() else []
    if not found:
        raise ConfigurationError(f"VISION_SERVICE=yolov8 has no {_MODELS} in {models}; {HOW_TO_GET_ONE}")
    return found[0]
