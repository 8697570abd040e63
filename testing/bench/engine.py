"""The engine's speed on this node beside its memory and llama-bench, and what the app adds to each token.

    scripts/bench engine
    scripts/bench engine --model /var/lib/pipecatapp/models/llama-3.2-1b-instruct-q4_0.gguf
    PRIMACPP_SERVER=/opt/prima.cpp/llama-server scripts/bench engine --ring 3 --memory 300 --model MODEL.gguf

A token needs every weight once, so ``bandwidth_fraction`` is the bytes read for the tokens of a second over what the
memory gives (read by as many threads, in the same run). Without --model a model of random weights is measured, large
enough not to fit a cache: what weights say does not change how fast they are.

``overhead_p95_ms``: from the arrival of a token's bytes at our socket until TwinService has dealt with it, over real
pipecat frames and a real WebSocket, less the same of a direct call (a loop over the same server's stream).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI, WebSocket
from gguf import GGUFReader

from pipecatapp.app import Node
from pipecatapp.domain import Message, Source
from pipecatapp.llm import debian
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engines import Engine
from pipecatapp.llm.part import LanguageModel
from pipecatapp.machine import detect
from pipecatapp.ports import ChatRequest
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.turn_queue import TurnRunner
from testing.bench.engine_ring import compare
from testing.bench.latency import _Nobody, percentile
from testing.engine_node import engine_settings, running
from testing.fakes.caller import Caller
from testing.fakes.gguf import Shape, write_random_model
from testing.fakes.serving import served
from testing.fakes.storage import storage_in

# 150 MB in Q8_0.
LARGE = Shape(layers=12, width=1024, heads=16, kv_heads=16, inner=2816)
QUESTIONS = ("who are you", "what can you do", "good morning", "tell me about yourself", "are you a robot", "thank you")
_BLOCK = 64 * 2**20


def bandwidth(threads: int, seconds: float = 2.0) -> float:
    """The bytes a second that so many threads read from memory: the best of the rounds that fit the time."""
    block = [np.ones(_BLOCK // 4, np.float32) for _ in range(max(2, threads))]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            list(pool.map(np.sum, block))
            best = max(best, len(block) * _BLOCK / (time.perf_counter() - began))
    return best


def bytes_per_token(model: Path) -> int:
    """What is read for each token: every tensor, of the embeddings one row, where they are not the output too."""
    tensors = {tensor.name: int(tensor.n_bytes) for tensor in GGUFReader(model).tensors}
    if "output.weight" in tensors:
        tensors.pop("token_embd.weight", None)
    return sum(tensors.values())


def llama_bench(engine: Engine, model: Path, threads: int) -> tuple[float, float]:
    """Tokens a second by llama-bench: of a prompt of 128, and generated."""
    tool = replace(engine, command=[*engine.command[:-1], str(Path(engine.command[-1]).with_name("llama-bench"))])
    done = tool.run(
        *("-m", str(model), "-p", "128", "-n", "32", "-r", "3", "-t", str(threads), "-o", "json"), timeout=600
    )
    rows = json.loads(done.stdout)
    return (
        next(float(row["avg_ts"]) for row in rows if row["n_prompt"]),
        next(float(row["avg_ts"]) for row in rows if row["n_gen"]),
    )


@asynccontextmanager
async def _running(model: str, engines: Path, folder: Path) -> AsyncIterator[LanguageModel]:
    """Our own llama-server with this model."""
    settings = engine_settings(folder / "state", model, engines=engines, engine_build="never")
    async with running(Node(settings), ["engine"]) as node:
        yield node.engine


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The network, with a note of when each token's bytes came: (characters so far, time)."""

    inner: httpx.AsyncHTTPTransport = field(
        default_factory=lambda: httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
    )
    arrivals: list[tuple[int, float]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on."""
        response = await self.inner.handle_async_request(request)
        if request.url.path.endswith("/chat/completions") and isinstance(response.stream, httpx.AsyncByteStream):
            self.arrivals.clear()
            response.stream = _Noted(response.stream, self.arrivals)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self.inner.aclose()


@dataclass
class _Noted(httpx.AsyncByteStream):
    stream: httpx.AsyncByteStream
    arrivals: list[tuple[int, float]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        characters = 0
        async for piece in self.stream:
            now = time.perf_counter()
            for line in piece.split(b"\n"):
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:]).get("choices") or [{}]
                    text = choices[0].get("delta", {}).get("content") or ""
                    characters += len(text)
                    if text.strip():
                        self.arrivals.append((characters, now))
            yield piece

    async def aclose(self) -> None:
        await self.stream.aclose()


def delays(arrivals: Sequence[tuple[int, float]], done: Sequence[tuple[int, float]], ahead: int) -> list[float]:
    """Seconds from each token's arrival until the piece that ends it was dealt with; ``ahead``: blanks cut off."""
    found = []
    at = 0
    for characters, came in arrivals:
        while at < len(done) and done[at][0] + ahead < characters:
            at += 1
        if at < len(done):
            found.append(done[at][1] - came)
    return found


@dataclass
class Timed:
    """``voice.brain.Brain`` around the real one: when TwinService was ready for more after each piece."""

    agent: Agent
    wire: Wire
    measured: list[float] = field(default_factory=list)

    async def prepare(self, conversation: str, words: str) -> None:
        """As it is."""
        await self.agent.prepare(conversation, words)

    async def respond(
        self, conversation: str, text: str, source: Source, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """The answer; asked for the next piece, TwinService is done with the last."""
        done: list[tuple[int, float]] = []
        characters = 0
        async with aclosing(self.agent.respond(conversation, text, source, progress)) as pieces:
            async for piece in pieces:
                yield piece
                characters += len(piece)
                done.append((characters, time.perf_counter()))
        raw = self.wire.arrivals[-1][0] if self.wire.arrivals else 0
        self.measured += delays(self.wire.arrivals, done, max(0, raw - characters))

    async def record_heard(self, conversation: str, turn_id: str, text: str) -> None:
        """As it is."""
        await self.agent.record_heard(conversation, turn_id, text)

    def finish(self, progress: TurnProgress) -> None:
        """As it is."""
        self.agent.finish(progress)


class _Silence:
    """A synthesizer that costs nothing: what is measured is the way to it."""

    name = "silence"

    async def load(self) -> None:
        """Nothing to load."""

    async def say(self, text: str) -> bytes:
        """20 ms of silence."""
        return bytes(960)

    async def aclose(self) -> None:
        """Nothing to release."""


async def overhead(engines: Path, turns: int) -> dict[str, float]:
    """What the way through TwinService adds to each token of the starter's answers."""
    from pipecatapp.voice.sessions import VoiceSessions
    from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer

    with tempfile.TemporaryDirectory() as folder:
        async with _running("starter", engines, Path(folder)) as own:
            wire = Wire()
            model = OpenAIChatModel(own.url, api_key=own.api_key, transport=wire)
            agent = Agent(model, [], _Nobody(), storage_in(Path(folder) / "talk").conversations, persona=lambda: "")
            brain = Timed(agent, wire)
            runner = TurnRunner(agent, _Nobody())
            sessions = VoiceSessions(
                brain, runner, _Nobody(), PocketsphinxRecognizer(), _Silence(), turn_detection="timeout"
            )
            app = FastAPI()

            @app.websocket("/voice")
            async def voice(websocket: WebSocket) -> None:
                await sessions.serve(websocket, "bench")

            direct: list[float] = []
            try:
                async with served(app) as port:
                    await sessions.warm_up()
                    try:
                        async with Caller(f"ws://127.0.0.1:{port}/voice") as caller:
                            direct = await _alternate(caller, runner, brain, model, turns)
                    finally:
                        await sessions.aclose()
            finally:
                await runner.aclose()
                await agent.aclose()
                await model.aclose()
    ours, plain = (percentile(values, 0.95) * 1000 for values in (brain.measured, direct))
    middle, middle_plain = (statistics.median(values) * 1000 for values in (brain.measured, direct))
    print(f"a token through TwinService ({len(brain.measured)} of them): p50 {middle:.2f} ms, p95 {ours:.2f} ms")
    print(f"a token of a direct call:     p50 {middle_plain:.2f} ms, p95 {plain:.2f} ms")
    return {"overhead_p95_ms": round(max(0.0, ours - plain), 3), "overhead_tokens": len(brain.measured)}


async def _alternate(
    caller: Caller, runner: TurnRunner, brain: Timed, model: OpenAIChatModel, turns: int
) -> list[float]:
    """Ask through TwinService and directly in turns; what the direct calls took for each token."""
    direct: list[float] = []
    caller.fast_forward = True
    await asyncio.sleep(1.0)
    for turn in range(turns):
        question = QUESTIONS[turn % len(QUESTIONS)]
        before = len(brain.measured)
        await runner.submit("bench", question)
        async with asyncio.timeout(120):
            while len(brain.measured) == before:
                await asyncio.sleep(0.05)
        direct += await _direct(model, brain.wire, question)
    return direct


async def _direct(model: OpenAIChatModel, wire: Wire, question: str) -> list[float]:
    """The same of a loop over the stream."""
    done: list[tuple[int, float]] = []
    characters = 0
    async for chunk in model.stream(ChatRequest([Message("user", question)], max_tokens=60, slot_key="direct")):
        characters += len(chunk.text)
        done.append((characters, time.perf_counter()))
    return delays(wire.arrivals, done, 0)


async def speed(model: Path, engines: Path) -> dict[str, float]:
    """The server's own speed for one stream, beside the memory and llama-bench."""
    with tempfile.TemporaryDirectory() as folder:
        async with _running(str(model), engines, Path(folder)) as own:
            engine = debian.installed(Path(folder) / "state/engine")
            if engine is None:
                raise RuntimeError(f"no engine in {engines}; run: scripts/setup engine")
            none_kept = httpx.Limits(max_keepalive_connections=0)
            async with httpx.AsyncClient(trust_env=False, timeout=600, limits=none_kept) as http:
                body = {"n_predict": 64, "temperature": 0.8, "ignore_eos": True, "cache_prompt": False, "stream": True}
                first, rates, prompts = [], [], []
                for number in range(4):
                    body["prompt"] = f"{number} " + "it is that you have this from the word of all " * 12
                    began = time.perf_counter()
                    seen = False
                    url = f"{own.url.removesuffix('/v1')}/completion"
                    headers = {"Authorization": f"Bearer {own.api_key}"}
                    async with http.stream("POST", url, json=body, headers=headers) as answer:
                        async for line in answer.aiter_lines():
                            if not line.startswith("data: "):
                                continue
                            event: dict[str, Any] = json.loads(line[6:])
                            if not seen:
                                seen = True
                                if number:
                                    first.append(time.perf_counter() - began)
                            if number and "timings" in event:
                                rates.append(float(event["timings"]["predicted_per_second"]))
                                prompts.append(float(event["timings"]["prompt_per_second"]))
        threads = detect().cores
        memory = bandwidth(threads)
        bench_prompt, bench_tokens = await asyncio.to_thread(llama_bench, engine, model, threads)
    tokens = statistics.median(rates)
    needed = bytes_per_token(model)
    print(f"{model.name}: {needed / 1e6:.0f} MB a token, memory {memory / 1e9:.1f} GB/s with {threads} threads")
    print(f"{'':<12} {'prompt tok/s':>12} {'generated tok/s':>16} {'of the memory':>14}")
    rows = (("llama-server", statistics.median(prompts), tokens), ("llama-bench", bench_prompt, bench_tokens))
    for name, prompt, generated in rows:
        print(f"{name:<12} {prompt:>12.1f} {generated:>16.1f} {generated * needed / memory:>14.2f}")
    print(f"time to first token of a prompt of about 150 tokens: {statistics.median(first):.2f} s")
    return {
        "tokens_per_s": round(tokens, 2),
        "first_token_s": round(statistics.median(first), 3),
        "bandwidth_gb_s": round(memory / 1e9, 2),
        "bandwidth_fraction": round(tokens * needed / memory, 3),
        "llama_bench_tokens_per_s": round(bench_tokens, 2),
        "ratio_to_llama_bench": round(tokens / bench_tokens, 3),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a GGUF (default: one of 150 MB with random weights)")
    parser.add_argument("--engines", type=Path, default=Path(".cache/engine"), help="folder of engines (.cache/engine)")
    parser.add_argument("--turns", type=int, default=30, help="answers over which the overhead is measured")
    parser.add_argument("--ring", type=int, metavar="N", help="plain, over RPC and in a ring of N nodes, instead")
    parser.add_argument("--memory", type=int, default=0, metavar="MB", help="of each node, with --ring; 0: no limit")
    options = parser.parse_args()
    if options.ring is not None and options.ring < 2:
        parser.error("a ring has at least 2 nodes")
    if options.model is not None and not options.model.is_file():
        parser.error(f"{options.model} is no file")
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or write_random_model(Path(folder) / "random-150m.gguf", shape=LARGE)
        if options.ring:
            result |= asyncio.run(compare(model.resolve(), options.ring, options.memory))
        else:
            result |= asyncio.run(speed(model, options.engines))
    if not options.ring:
        result |= asyncio.run(overhead(options.engines, options.turns))
    result["load_average"] = round(os.getloadavg()[0], 1)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
