"""``YOLOv8Detector``: a YOLOv8 as ONNX, of any size and with any classes, through onnxruntime on one thread."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import ConfigurationError
from pipecatapp.vision.boxes import Floats, decode, suppress
from pipecatapp.vision.pictures import Picture, Thing
from pipecatapp.vision.scene import STILL_SURE

MODEL = "yolov8n"
HOW_TO_GET_ONE = "export one with scripts/export_yolo (docs/howto/give-it-eyes.md)"
# Where the model leaves its size open: half of what it was trained on, quick enough for an old CPU.
_SIZE = 320
_LARGEST = 4096
_OVERLAP = 0.45
_GREY = 114  # of the border, as in training
_LABEL = 40  # characters; a label goes into prompts

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


class YOLOv8Detector:
    """Finds the things that its model knows.

    Args:
        file: the ONNX file.

    Raises:
        ConfigurationError: it is missing, damaged or another kind of model; the text names the next step.
    """

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self._file = file
        self._session = self._load()
        entry = self._session.get_inputs()
        self._check(len(entry) == 1 and len(entry[0].shape) == 4, "it does not take one picture")
        self._input: str = entry[0].name
        self._check(entry[0].type in ("tensor(float)", "tensor(float16)"), f"it wants {entry[0].type}")
        self._type = np.float16 if entry[0].type == "tensor(float16)" else np.float32
        self._check(entry[0].shape[1] == 3 or not isinstance(entry[0].shape[1], int), "it takes no colour picture")
        self._height, self._width = (side if isinstance(side, int) else _SIZE for side in entry[0].shape[2:])
        self._check(0 < max(self._height, self._width) <= _LARGEST, "its pictures have no sensible size")
        metadata = self._session.get_modelmeta().custom_metadata_map
        task = metadata.get("task", "detect")
        self._check(task == "detect", f"it was made for the task {task!r}, not for 'detect'")
        named = self._names(metadata.get("names", ""))
        rows = self._raw(np.zeros((self._height, self._width, 3), np.uint8), named)
        self._labels = named or COCO
        self._check(
            rows.shape[0] == 4 + len(self._labels),
            f"it scores {rows.shape[0] - 4} classes and names {len(self._labels)}",
        )

    def detect(self, picture: Picture) -> list[Thing]:
        """The things in it, the surest first."""
        framed, scale, left, top = self._framed(picture)
        boxes, scores, kinds = decode(self._raw(framed, self._labels), STILL_SURE)
        height, width = picture.shape[:2]
        boxes = (boxes - np.array([left, top, left, top], np.float32)) / scale
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        things = []
        for index in suppress(boxes, scores, kinds, _OVERLAP):
            x1, y1, x2, y2 = (int(value) for value in boxes[index].round())
            if x2 > x1 and y2 > y1:
                kind = int(kinds[index])
                things.append(Thing(self._labels[kind], kind, float(scores[index]), (x1, y1, x2, y2)))
        return things

    def _framed(self, picture: Picture) -> tuple[Picture, float, int, int]:
        """The picture in the model's size, its proportions kept, on grey; and how it was changed."""
        import cv2

        height, width = picture.shape[:2]
        scale = min(self._width / width, self._height / height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        framed = np.full((self._height, self._width, 3), _GREY, np.uint8)
        left, top = (self._width - inner[0]) // 2, (self._height - inner[1]) // 2
        smaller = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
        framed[top : top + inner[1], left : left + inner[0]] = smaller
        return framed, scale, left, top

    def _raw(self, framed: Picture, labels: Sequence[str]) -> Floats:
        """The output with a row for each number of a candidate: four of its box, one for each class."""
        colours = np.ascontiguousarray(framed[:, :, ::-1].transpose(2, 0, 1)[None])
        try:
            outputs = self._session.run(None, {self._input: (colours / np.float32(255)).astype(self._type)})
        except Exception as error:  # onnxruntime raises nothing narrower
            self._check(False, f"it cannot be run ({_first_line(error)})")
            raise
        output = np.asarray(outputs[0])
        self._check(output.ndim == 3 and output.shape[0] == 1, "its output has another layout")
        rows = output[0]
        classes = len(labels) or len(COCO)
        if rows.shape[0] != 4 + classes and rows.shape[1] == 4 + classes:
            rows = rows.T
        self._check(5 <= rows.shape[0] < rows.shape[1], "its output has another layout")
        return np.asarray(rows, np.float32)

    def _names(self, text: str) -> tuple[str, ...]:
        """The classes that the model itself names: a mapping from number to name, written as Python writes it."""
        if not text:
            return ()
        try:
            names = ast.literal_eval(text)
            found = [names[number] for number in range(len(names))]
        except (ValueError, SyntaxError, KeyError, TypeError, IndexError, MemoryError, RecursionError):
            found = []
        self._check(bool(found), "the names of its classes cannot be read")
        return tuple(_clean(str(name)) or f"thing {number}" for number, name in enumerate(found))

    def _load(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        # One thread that does not spin: a second one would take the voice's core.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        if not self._file.is_file():
            raise ConfigurationError(f"there is no {self._file}; {HOW_TO_GET_ONE}")
        try:
            return ort.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises nothing narrower
            raise ConfigurationError(
                f"{self._file} cannot be loaded, it is damaged or no ONNX model ({_first_line(error)}); "
                f"remove it and {HOW_TO_GET_ONE}"
            ) from error

    def _check(self, fits: bool, problem: str) -> None:
        if not fits:
            raise ConfigurationError(f"{self._file} is no YOLOv8 that finds objects: {problem}; {HOW_TO_GET_ONE}")


def _clean(name: str) -> str:
    """A class name is a few words, whatever a file says: it is spoken and goes into prompts."""
    words = "".join(char if char.isalnum() or char in "-'" else " " for char in name).split()
    return " ".join(words)[:_LABEL].strip()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
