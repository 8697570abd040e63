"""A scripted model server behind httpx's mock transport: no socket, every byte in the test's hands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx

from pipecatapp.llm.client import OpenAIChatModel

PROPS = {
    "default_generation_settings": {"n_ctx": 2048},
    "total_slots": 2,
    "model_alias": "starter",
    "model_path": "/models/starter.gguf",
    "build_info": "b1",
    "chat_template": "t",
}


class Pieces(httpx.AsyncByteStream):
    """A body that arrives piece by piece; an exception among the pieces breaks the connection there."""

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self.pieces = list(pieces)
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed = True


class Server:
    """Answers by path; keeps what it was asked."""

    def __init__(self, *, llama: bool = True) -> None:
        self.llama = llama
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        self.streams: list[Pieces] = []
        self.snapshots: set[str] = set()

    def model(self, **options: Any) -> OpenAIChatModel:
        """A client of this server."""
        return OpenAIChatModel("http://engine/v1", transport=httpx.MockTransport(self._answer), **options)

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests to a path."""
        return [body for asked, body in self.requests if asked == path]

    def stream(self, *pieces: bytes | Exception) -> None:
        """What ``/v1/chat/completions`` sends."""

        def answer(request: httpx.Request) -> httpx.Response:
            self.streams.append(Pieces(pieces))
            return httpx.Response(200, stream=self.streams[-1])

        self.answers["/v1/chat/completions"] = answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((path, json.loads(request.content) if request.content else {}))
        if path in self.answers:
            return self.answers[path](request)
        if path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "gpt-tiny", "context_length": 1000}]})
        if not self.llama:
            return httpx.Response(404, json={"error": {"message": "no such path"}})
        return self._llama(request, path)

    def _llama(self, request: httpx.Request, path: str) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        if path == "/props":
            return httpx.Response(200, json=PROPS)
        if path == "/health":
            return httpx.Response(200, json={"status": "ok"})
        if path == "/apply-template":
            text = "".join(f"<{m['role']}>{m['content']}</>" for m in body["messages"])
            return httpx.Response(200, json={"prompt": f"{text}<assistant>"})
        if path == "/completion":
            return httpx.Response(200, stream=Pieces([event({"timings": {"cache_n": 3, "prompt_n": 7}})]))
        if path.startswith("/slots/"):
            return self._slot(request, body["filename"])
        return httpx.Response(404)

    def _slot(self, request: httpx.Request, name: str) -> httpx.Response:
        if request.url.params["action"] == "save":
            self.snapshots.add(name)
        known = name in self.snapshots
        return httpx.Response(200 if known else 400, json={})


def event(data: object) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data)}\n\n".encode()


def word(text: str, finish: str | None = None) -> bytes:
    """One piece of a chat answer."""
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


COUNTS = event(
    {
        "choices": [],
        "usage": {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 20}},
        "timings": {"cache_n": 20, "prompt_n": 10, "predicted_n": 4},
    }
)
DONE = b"data: [DONE]\n\n"
