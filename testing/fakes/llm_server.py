"""A scripted language model server that speaks llama-server's dialect and takes its time like a chosen machine.

    python -m testing.fakes.llm_server --port 9101 --profile oldpc

PromptBuilder are tokenized and compared with what each slot holds, token by token, so its counts (``timings``) and its
delays are those of a server with a prefix cache. Time passes by sleeping; nothing is computed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse


@dataclass(frozen=True)
class Pace:
    """Milliseconds per token, evaluated and generated."""

    prompt_ms: float
    token_ms: float


# oldpc: a Core 2 with a model of three billion parameters.
PROFILES = {"25ms": Pace(0, 25), "200ms": Pace(0, 200), "oldpc": Pace(100, 200), "instant": Pace(0, 0)}

REPLIES = (
    "The kitchen light is on and the heating is set to nineteen degrees. Everything else is off.",
    "All seven machines are running, and none of them needs your attention. That was the report.",
    "I have moved the backup to the second machine because the first one is full. It is done.",
    "The temperature in the living room was a little higher than yesterday. It is falling now.",
    "Your next appointment is with the dentist, tomorrow at half past ten. Shall I remind you?",
    "There is nothing unusual in the log of the last few hours. I will keep watching it.",
    "I found three files with that name, the newest one is from last week. They are small.",
    "The washing machine will be finished in about twenty minutes from now. I will tell you.",
    "Yes, the door to the garden is closed and locked for the night. Sleep well.",
    "It looks like the network was slow this morning but it has recovered since. No errors remain.",
)

# What a sick server does with a request for an answer: refuse it so, or break off so after some tokens.
REFUSALS = {
    "loading": (503, {"message": "Loading model", "type": "unavailable_error", "code": 503}),
    "overflow": (
        400,
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
    ),
    "crash": (500, {"message": "compute error", "type": "server_error"}),
}


@dataclass(frozen=True)
class Fault:
    """``loading``, ``overflow`` or ``crash`` at once; after some tokens ``half`` (the end), ``garbage`` or ``hang``."""

    kind: str
    tokens: int = 3


# The tokens that may be evaluated in one go: a cancelled request ends at such a border, like llama-server's.
BATCH = 16
_TOKEN = re.compile(r"<\|\w+\|>| ?[A-Za-z]{1,6}|\d|\s|[^\w\s]|\w")


def tokens(text: str) -> list[str]:
    """Words of up to six letters with the space in front, single digits and signs."""
    return _TOKEN.findall(text)


def template(messages: Sequence[dict[str, Any]], *, generate: bool = True) -> str:
    """ChatML."""
    text = "".join(f"<|im_start|>{m['role']}\n{_text(m['content'])}<|im_end|>\n" for m in messages)
    return text + ("<|im_start|>assistant\n" if generate else "")


def _text(content: object) -> str:
    """The text of a content, which some clients send in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content)


@dataclass
class _Slot:
    cache: list[str] = field(default_factory=list)
    used: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class _Job:
    prompt: list[str]
    reply: list[str]
    slot: _Slot
    reuse: int = 0
    out: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    cached: int = 0
    said: list[str] = field(default_factory=list)
    cancelled: bool = False

    @property
    def timings(self) -> dict[str, int]:
        return {"cache_n": self.cached, "prompt_n": len(self.prompt) - self.cached, "predicted_n": len(self.said)}


class ScriptedServer:
    """The server's state: slots, their caches, and a log of what was asked."""

    def __init__(
        self, pace: Pace, replies: Sequence[str] = REPLIES, slots: int = 4, faults: Sequence[Fault] = ()
    ) -> None:
        self.pace = pace
        self.faults = deque(faults)  # one for each answer, in their order; then it is well
        self._replies = replies
        self._slots = [_Slot() for _ in range(slots)]
        self._running: set[asyncio.Task[None]] = set()
        self.log: list[dict[str, Any]] = []

    def start(self, prompt: str, reply: str, slot_id: int | None, reuse: int = 0) -> _Job:
        """Begin a request; its pieces come out of the job's queue."""
        wanted = tokens(prompt)
        slot = self._slots[slot_id % len(self._slots)] if slot_id is not None and slot_id >= 0 else self._pick(wanted)
        job = _Job(wanted, tokens(reply), slot, reuse)
        task = asyncio.create_task(self._run(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return job

    def reply_to(self, messages: Sequence[dict[str, Any]]) -> str:
        """The n-th request of a conversation gets the n-th reply."""
        turn = sum(1 for message in messages if message["role"] == "user")
        return self._replies[turn % len(self._replies)]

    def rest_of(self, prompt: str) -> str:
        """What follows an answer that the prompt ends with: all of the reply where it is the beginning of it."""
        turn = prompt.count("<|im_start|>user\n")
        reply = self._replies[turn % len(self._replies)]
        begun = prompt.rpartition("<|im_start|>assistant\n")[2]
        return reply[len(begun) :] if reply.startswith(begun) else reply

    def _pick(self, prompt: list[str]) -> _Slot:
        """llama-server's choice: the slot that holds most of the prompt, else the one unused for longest."""
        best = max(self._slots, key=lambda slot: _common(slot.cache, prompt))
        if prompt and _common(best.cache, prompt) / len(prompt) > 0.1:
            return best
        return min(self._slots, key=lambda slot: slot.used)

    async def _run(self, job: _Job) -> None:
        async with job.slot.lock:
            slot = job.slot
            slot.used = time.monotonic()
            common = _common(slot.cache, job.prompt)
            if job.reuse:
                common = _moved(slot.cache, job.prompt, common, job.reuse)
            # The last token is always evaluated, or there would be nothing to predict from.
            job.cached = min(common, len(job.prompt) - 1) if job.reply else common
            del slot.cache[job.cached :]
            while not job.cancelled and len(slot.cache) < len(job.prompt):
                batch = job.prompt[len(slot.cache) : len(slot.cache) + BATCH]
                await asyncio.sleep(len(batch) * self.pace.prompt_ms / 1000)
                slot.cache += batch
            for token in job.reply:
                if job.cancelled:
                    break
                await asyncio.sleep(self.pace.token_ms / 1000)
                slot.cache.append(token)
                job.said.append(token)
                job.out.put_nowait(token)
            self.log.append({"at": time.monotonic(), "cancelled": job.cancelled, **job.timings})
            job.out.put_nowait(None)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return index
    return min(len(one), len(other))


def _moved(cache: list[str], prompt: Sequence[str], common: int, at_least: int) -> int:
    """llama-server's ``n_cache_reuse``: runs of the cache that stand further back move forward. Returns the new length
    of the common beginning, which ``cache`` then has."""
    source, known = common, list(cache[:common])
    while source < len(cache) and len(known) < len(prompt):
        run = _common(cache[source:], prompt[len(known) :])
        if run >= at_least:
            known += cache[source : source + run]
            source += run
        else:
            source += 1
    cache[:] = known
    return len(known)


async def _pieces(job: _Job) -> AsyncIterator[str]:
    try:
        while (piece := await job.out.get()) is not None:
            yield piece
    finally:
        job.cancelled = True


async def _sick(pieces: AsyncIterator[str], fault: Fault) -> AsyncIterator[str]:
    """The first events of a stream, then what the fault makes of it."""
    told = 0
    async for piece in pieces:
        if told == fault.tokens:
            break
        told += 1
        yield piece
    if fault.kind == "garbage":
        yield 'data: {"choices": [\n\n<html>502 Bad Gateway</html>\n\n'
    if fault.kind == "hang":
        await asyncio.Event().wait()


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def create_app(server: ScriptedServer, name: str = "scripted") -> FastAPI:
    """The HTTP side."""
    app = FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/props")
    async def props() -> dict[str, Any]:
        return {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 4, "model_alias": name}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "meta": {"n_ctx": 8192}}]}

    @app.get("/log")
    async def log() -> Any:
        return server.log

    @app.post("/slots/{slot}")
    async def slots(slot: int) -> JSONResponse:
        return JSONResponse({"error": {"message": "this server saves no slots"}}, 501)

    @app.post("/apply-template")
    async def apply_template(body: dict[str, Any]) -> dict[str, str]:
        return {"prompt": template(body["messages"])}

    @app.post("/completion")
    async def completion(body: dict[str, Any]) -> Any:
        prompt = str(body["prompt"])
        rest = "" if body.get("n_predict") == 0 else server.rest_of(prompt)
        job = server.start(prompt, rest, body.get("id_slot"), int(body.get("n_cache_reuse") or 0))

        async def stream() -> AsyncIterator[str]:
            async for piece in _pieces(job):
                yield _event({"content": piece, "stop": False})
            yield _event({"content": "", "stop": True, "stop_type": "eos", "timings": job.timings})

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.post("/v1/chat/completions")
    async def chat(body: dict[str, Any]) -> Any:
        messages = body["messages"]
        fault = server.faults.popleft() if server.faults else None
        if fault is not None and fault.kind in REFUSALS:
            status, error = REFUSALS[fault.kind]
            return JSONResponse({"error": error}, status)
        reply = "" if body.get("max_tokens") == 0 else server.reply_to(messages)
        job = server.start(template(messages), reply, body.get("id_slot"), int(body.get("n_cache_reuse") or 0))
        base = {"id": "chatcmpl-1", "created": int(time.time()), "model": name}

        def usage() -> dict[str, Any]:
            return {
                "prompt_tokens": len(job.prompt),
                "completion_tokens": len(job.said),
                "total_tokens": len(job.prompt) + len(job.said),
                "prompt_tokens_details": {"cached_tokens": job.cached},
            }

        if not body.get("stream"):
            text = "".join([piece async for piece in _pieces(job)])
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return base | {"object": "chat.completion", "choices": [choice], "usage": usage(), "timings": job.timings}

        async def stream() -> AsyncIterator[str]:
            chunk = base | {"object": "chat.completion.chunk"}
            async for piece in _pieces(job):
                yield _event(chunk | {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "timings": job.timings}
            yield _event(chunk | end)
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _event(chunk | {"choices": [], "usage": usage(), "timings": job.timings})
            yield "data: [DONE]\n\n"

        events = stream() if fault is None else _sick(stream(), fault)
        return StreamingResponse(events, media_type="text/event-stream")

    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="25ms")
    arguments = parser.parse_args()
    app = create_app(ScriptedServer(PROFILES[arguments.profile]))
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
