"""Cameras and what looks through them: scripted captures, a clock that jumps, videos of squares, a camera on HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipecatapp.domain import CameraView
from pipecatapp.vision.pictures import Picture, Thing

SQUARES = Path(__file__).resolve().parents[1] / "fixtures/vision/squares.onnx"
# Blue-green-red, by what the detector of squares calls them.
COLOURS = {"person": (0, 255, 0), "cup": (0, 0, 255), "umbrella": (255, 0, 0)}
SIDE = 64
Place = tuple[str, int, int]  # what, left, top


class JumpingClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class ScriptedCamera:
    """``web.services.CameraPanel`` that shows what the test puts there."""

    def __init__(self) -> None:
        self.state = CameraView(on=False, source="", detector="none", text="", things=(), at=None, trouble="")
        self.image: bytes | None = None

    def view(self) -> CameraView:
        return self.state

    async def picture(self) -> bytes | None:
        return self.image


class ScriptedDetector:
    """Finds what the test says; ``work`` is called for each look, to take its time."""

    name = "scripted"

    def __init__(self, looks: Callable[[Picture], Sequence[Thing]], work: Callable[[], None] = lambda: None) -> None:
        self._looks = looks
        self._work = work
        self.pictures: list[Picture] = []

    def detect(self, picture: Picture) -> list[Thing]:
        self.pictures.append(picture)
        self._work()
        return list(self._looks(picture))


class ScriptedCapture:
    """A live source: ``grab`` runs the next step of the script (True, False, an exception, or a function), then True.

    Picture number ``n`` has ``n`` in its first pixel.
    """

    interval_s = 0.0

    def __init__(self, steps: Sequence[Any] = (), *, every_s: float = 0.005) -> None:
        self._steps = list(steps)
        self._every_s = every_s
        self.grabbed = 0
        self.retrieved: list[int] = []
        self.closed = False

    def grab(self) -> bool:
        time.sleep(self._every_s)
        step = self._steps.pop(0) if self._steps else True
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = step()
        self.grabbed += 1
        return bool(step)

    def retrieve(self) -> Picture | None:
        self.retrieved.append(self.grabbed)
        return numbered(self.grabbed)

    def close(self) -> None:
        self.closed = True


def numbered(number: int) -> Picture:
    """A picture that says which one it is."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[0, 0] = (number & 255, number >> 8 & 255, number >> 16)
    return picture


def number_of(picture: Picture) -> int:
    """Which one it is."""
    blue, green, red = (int(value) for value in picture[0, 0])
    return blue | green << 8 | red << 16


def squares(*places: Place, width: int = 640, height: int = 480, seed: int = 0) -> Picture:
    """Coloured squares on a grey background with noise."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(128, 8, (height, width, 3)).clip(0, 255).astype(np.uint8)
    for what, left, top in places:
        picture[top : top + SIDE, left : left + SIDE] = COLOURS[what]
    return picture


def write_video(file: Path, scenes: Sequence[tuple[int, Sequence[Place]]], *, rate: float = 20.0) -> Path:
    """A video of so many pictures of each scene, one after the other."""
    import cv2

    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), rate, (640, 480))
    assert writer.isOpened()
    seed = 0
    for count, places in scenes:
        for _ in range(count):
            seed += 1
            writer.write(squares(*places, seed=seed))
    writer.release()
    return file


class HttpCamera:
    """A camera in the house: MJPEG over HTTP, as most of them send it. ``hang`` stops it in the middle of a stream.

    ``show`` is what it sees; ``vanish`` closes every connection and the port, ``return_`` opens the same port again.
    """

    def __init__(self) -> None:
        self.show: Picture = squares()
        self.hanging = threading.Event()
        self.requests = 0
        self._streams: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.return_()

    @property
    def url(self) -> str:
        return f"http://owner:secret@127.0.0.1:{self._port}/stream.mjpg"

    def return_(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.requests += 1
                camera._streams.add(self.connection)
                camera._stream(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Nothing is printed."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A viewer that goes away is no error."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def vanish(self) -> None:
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for stream in self._streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._streams.clear()

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        import cv2

        server = self._server
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        while self._server is server:
            if self.hanging.is_set():
                time.sleep(0.02)
                continue
            data = cv2.imencode(".jpg", self.show)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")
            handler.wfile.flush()
            time.sleep(0.05)

    def __enter__(self) -> HttpCamera:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.vanish()
