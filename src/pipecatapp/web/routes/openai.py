"""The agent as an OpenAI-compatible endpoint: any client that speaks chat completions can use it.

The client's messages are the history: nothing is stored. The tools are those of this node; how a request is read, and
what of it is refused, says ``web/openai_request.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipecatapp.domain import Message
from pipecatapp.errors import ModelError
from pipecatapp.ports import AnswerOptions
from pipecatapp.twin.streams import closing
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.web.errors import SERVER, BadRequestError, Problem, error_body, error_response, find_problem
from pipecatapp.web.json_body import json_router
from pipecatapp.web.openai_request import MODEL, ChatCompletionRequest, read_messages, read_options, unknown_model
from pipecatapp.web.services import WebServices

log = logging.getLogger(__name__)

ENGINE = "engine"


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/v1")
    started = int(time.time())

    def list_names() -> list[str]:
        table = services.experts.table() if services.experts is not None else ()
        return [MODEL, *(str(row["name"]) for row in table if not row["stands_in"])]

    def describe(name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": started, "owned_by": "pipecatapp"}

    @router.get("/models")
    async def list_models() -> dict[str, object]:
        return {"object": "list", "data": [describe(name) for name in list_names()]}

    @router.get("/models/{name}")
    async def show_model(name: str) -> Response:
        if name not in list_names():
            raise unknown_model(name, list_names())
        return JSONResponse(describe(name))

    @router.post("/chat/completions")
    async def complete_chat(body: ChatCompletionRequest, request: Request) -> Response:
        messages = read_messages(body, list_names())
        expert = "" if body.model == MODEL else body.model
        if not expert and (reason := await _why_not_ready(services)):
            return error_response(f"the engine is not ready: {reason}", Problem(503, SERVER, "engine_not_ready"))
        options = read_options(body)
        if not expert and (unfit := await services.completions.find_unfit(options)):
            raise BadRequestError(f"{unfit} is not supported by the model server of this node", unfit)
        services.metrics.count_api_request()
        answer = _Answer(services, messages, body, expert, options)
        if not body.stream:
            return await _answer_unless_gone(request, answer.whole())
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        return StreamingResponse(answer.chunks(include_usage), media_type="text/event-stream")

    return router


async def _why_not_ready(services: WebServices) -> str:
    """Why the engine cannot answer, empty when it can; what was a no a moment ago is looked at anew."""
    reason = ""
    for max_age_s in (1.0, 0.0):
        seen = await services.health.fresh(max_age_s)
        reason = next((state.reason for state in seen if state.component == ENGINE and not state.ok), "")
        if not reason:
            break
    return reason


class _Answer:
    """One completion on its way out."""

    def __init__(
        self,
        services: WebServices,
        messages: list[Message],
        body: ChatCompletionRequest,
        expert: str,
        options: AnswerOptions,
    ) -> None:
        self._model = expert or MODEL
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._progress = TurnProgress(conversation=f"api-{secrets.token_hex(8)}", source="api")
        pieces = services.completions.complete(messages, self._progress, expert, options)
        self._pieces = _cut_at(pieces, body.stops) if body.stops else pieces

    async def whole(self) -> Response:
        """Wait for the end, answer once."""
        text = "".join([piece async for piece in self._pieces])
        if self._progress.text and text.endswith(self._progress.text):
            text = self._progress.text  # what stood before it turned out to be a thought
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": self._progress.finish_reason, "logprobs": None}
        return JSONResponse({**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    async def chunks(self, include_usage: bool) -> AsyncIterator[str]:
        """Answer piece by piece as server-sent events; a client that goes away cancels the turn."""
        rest: dict[str, Any] = {"usage": None} if include_usage else {}
        try:
            yield self._chunk({"role": "assistant", "content": ""}, None, rest)
            async for piece in self._pieces:
                yield self._chunk({"content": piece}, None, rest)
            yield self._chunk({}, self._progress.finish_reason, rest)
            if include_usage:
                yield _encode_event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()})
            yield "data: [DONE]\n\n"
        except ModelError as error:
            yield _encode_event(error_body(str(error), find_problem(error) or Problem(503, SERVER)))
        finally:
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):  # it is being closed already
                    await close()

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model,
                "system_fingerprint": None}  # fmt: skip

    def _chunk(self, delta: dict[str, str], finish_reason: str | None, rest: dict[str, Any]) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _encode_event({**self._head("chat.completion.chunk"), "choices": [choice], **rest})

    def _usage(self) -> dict[str, object]:
        usage = self._progress.usage
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.generated_tokens,
            "total_tokens": usage.prompt_tokens + usage.generated_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        }


async def _cut_at(pieces: AsyncIterator[str], stops: Sequence[str]) -> AsyncIterator[str]:
    """The text up to the first of ``stops``; what may be the beginning of one is held back."""
    held, longest = "", max(map(len, stops)) - 1
    async with closing(pieces):
        async for piece in pieces:
            held += piece
            if ends := [at for stop in stops if (at := held.find(stop)) >= 0]:
                yield held[: min(ends)]
                return
            sure = max(0, len(held) - longest)
            if sure:
                yield held[:sure]
            held = held[sure:]
    if held:
        yield held


async def _answer_unless_gone(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer; a client that goes away while it is made cancels the turn, for the next one waits for the engine."""
    answering, gone = asyncio.create_task(answer), asyncio.create_task(_wait_until_gone(request))
    try:
        await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        log.debug("a client went away before its answer")
        return Response(status_code=499)
    finally:
        for task in (answering, gone):
            task.cancel()
        await asyncio.wait([answering, gone])


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _encode_event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
