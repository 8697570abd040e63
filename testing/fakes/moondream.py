"""A llama-server with Moondream 2 as the program sees it: OpenAI's chat with pictures, its answers, its failures."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

from pipecatapp.vision.pictures import Picture

Mood = Literal["answers", "hangs", "trickles", "loads", "no projector", "nonsense", "no text", "silent", "endless"]


class MoondreamServer:
    """Answers ``POST /v1/chat/completions`` in the mood that the test chose; ``asked`` keeps text and picture.

    Like the real one it wants a JPEG as a data URI and refuses everything else with llama-server's errors.
    """

    def __init__(self, answer: str = "A person sits at a desk with a red cup.") -> None:
        self.answer = answer
        self.mood: Mood = "answers"
        self.asked: list[tuple[str, Picture]] = []
        self.released = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/v1/chat/completions":
                    double._send(self, 404, {"error": {"code": 404, "message": "File Not Found"}})
                    return
                double._answer(self, json.loads(body))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Nothing is printed."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no error."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> MoondreamServer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _answer(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        import cv2
        import numpy as np

        if self.mood == "loads":
            self._send(handler, 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
            return
        if self.mood == "no projector":
            message = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
            self._send(handler, 500, {"error": {"code": 500, "message": message, "type": "server_error"}})
            return
        text, uri = "", ""
        for part in request["messages"][-1]["content"]:
            if part["type"] == "text":
                text = part["text"]
            else:
                uri = part["image_url"]["url"]
        found = re.fullmatch(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", uri)
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(found[1]), np.uint8), 1) if found else None
        if picture is None:
            message = "Failed to load image or audio file"
            self._send(handler, 400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}})
            return
        self.asked.append((text, picture))
        if self.mood == "hangs":
            self.released.wait()
            return
        if self.mood == "nonsense":
            self._send(handler, 200, {"choices": []})
            return
        content = {"no text": None, "silent": "  \n "}.get(self.mood, self.answer)
        message = {"role": "assistant", "content": content}
        body = {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
        if self.mood in ("trickles", "endless"):
            self._drip(handler)
            return
        self._send(handler, 200, body)

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        """A body that never ends: byte by byte, or as fast as it goes."""
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        while not self.released.is_set():
            handler.wfile.write(b" " if self.mood == "trickles" else b" " * 65536)
            handler.wfile.flush()
            if self.mood == "trickles":
                time.sleep(0.02)

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json; charset=utf-8")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
