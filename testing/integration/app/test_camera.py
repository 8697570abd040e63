"""``pipecatapp serve`` with a camera: what is in view reaches the page, the health and the answer."""

from __future__ import annotations

import time

import httpx
import pytest

from testing.fakes.cameras import SQUARES, squares
from testing.integration.app.conftest import ENDS_WITHIN_S, Program

pytestmark = pytest.mark.integration


def give_camera(program: Program) -> None:
    import cv2

    folder = program.state / "models/yolov8n"
    folder.mkdir(parents=True)
    (folder / "yolov8n.onnx").write_bytes(SQUARES.read_bytes())
    camera = program.state / "desk.png"
    cv2.imwrite(str(camera), squares(("cup", 96, 64), ("person", 320, 240)))
    program.environment |= {"VISION_SERVICE": "yolov8", "CAMERA": str(camera)}


def test_it_says_what_is_before_the_camera(program: Program) -> None:
    give_camera(program)
    program.start()
    program.wait(lambda response: response.status_code == 200)
    program.wait(lambda response: response.json()["components"]["vision"]["ok"])
    headers = {"authorization": f"Bearer {(program.state / 'token').read_text().strip()}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{program.port}", headers=headers, trust_env=False) as http:
        while not (state := http.get("/api/camera").json())["text"]:
            assert not state["trouble"]
            time.sleep(0.1)
        assert state["text"] == "I see a person and a cup."
        assert http.get("/api/camera/picture").headers["content-type"] == "image/jpeg"
    asked = program.command("ask", "What do you see?")
    assert "a person and a cup" in asked.stdout
    assert program.end() <= ENDS_WITHIN_S
    assert "Observation: I see a person and a cup." in (program.state / "serve.log").read_text()


def test_a_camera_that_is_not_there_does_not_keep_it_from_answering(program: Program) -> None:
    give_camera(program)
    program.environment["CAMERA"] = str(program.state / "absent.mp4")
    program.start()
    program.wait(lambda response: response.status_code == 200)
    response = program.wait(lambda response: "absent.mp4" in response.json()["components"]["vision"]["reason"])
    assert response.status_code == 200
    assert not response.json()["components"]["vision"]["ok"]
    assert program.end() <= ENDS_WITHIN_S


def test_a_detector_without_a_model_ends_it_with_the_next_step(program: Program) -> None:
    program.environment["VISION_SERVICE"] = "yolov8"
    done = program.command("serve")
    assert done.returncode == 2
    assert "scripts/export_yolo" in done.stderr
    assert "Traceback" not in done.stderr
