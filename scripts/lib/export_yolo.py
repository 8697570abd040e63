"""Exports a YOLOv8 to ONNX; run by scripts/export_yolo in the environment that it makes."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

OPSET = 17


def main() -> None:
    """``MODEL SIZE OUTPUT``."""
    model, size, output = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).resolve()
    given = Path(model)
    # Only a name that is no file here is left to ultralytics, which downloads it.
    source = str(given.resolve()) if given.is_file() else model
    with tempfile.TemporaryDirectory() as folder:
        # It writes its settings and what it downloads where it stands.
        os.environ["YOLO_CONFIG_DIR"] = folder
        os.environ["YOLO_AUTOINSTALL"] = "false"
        os.chdir(folder)
        ultralytics = importlib.import_module("ultralytics")
        # A .yaml describes a network; it gets random weights.
        exported = ultralytics.YOLO(source, task="detect").export(
            format="onnx", imgsz=size, opset=OPSET, simplify=False, half=False, dynamic=False, nms=False, device="cpu"
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(exported, output)


if __name__ == "__main__":
    main()
