"""User's last sample to first audio out, against the plain pipecat arrangement; and barge-in.

Both run in this process over the same kind of WebSocket, with the same recognizer, synthesizer, scripted language model
server, system prompt and spoken questions, in turns. Same end of turn: VAD 0.2 s, then a pause of 0.3 s. What differs
besides the pipelines: the plain one has pipecat's VAD start (0.2 s and its smoothed loudness).

oldpc models a Core 2: 100 ms for every prompt token that is not in the server's prefix cache, 200 ms a generated one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, WebSocket

import pipecatapp.voice  # noqa: F401 - routes pipecat's log before pipecat is imported

from pipecat.audio.vad.silero import SileroVADAnalyzer  # isort: skip
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from pipecatapp.events import Event
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.sessions import PAUSE_S, VoiceSessions
from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from pipecatapp.voice.synthesis import SAMPLE_RATE, Synthesizer
from pipecatapp.voice.tts_programs import FliteSynthesizer
from pipecatapp.voice.wire import WireSerializer
from testing.fakes.caller import Caller, spoken
from testing.fakes.serving import served
from testing.fakes.storage import storage_in
from testing.ports import free_port

PERSONA = (
    "You are the voice of a home that runs on old computers. Answer in one or two short spoken sentences, without "
    "lists, markup or emoji. You know the machines of the cluster, the lights, the heating and the calendar of the "
    "people who live here. When you are not sure, say so. Never invent names of machines, times or numbers. Be "
    "friendly and calm, and do not repeat the question."
)
QUESTIONS = (
    "tell me about the cluster",
    "is everything all right in the kitchen",
    "how warm is it in the living room now",
    "what do i have to do tomorrow morning",
    "tell me about the letter to the school",
    "when will the washing machine be finished",
    "is the door to the garden closed",
)
INTERRUPTION = "please stop talking now"


class _Nobody:
    """An event sink that throws everything away."""

    def emit(self, event: Event) -> None:
        """Nothing."""


class PlainSTT(SegmentedSTTService):
    """pipecat's segmented recognition: the whole utterance is decoded after the VAD's stop."""

    wants_wav_segments = False

    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__(settings=STTSettings(model="en-us", language=Language.EN), ttfs_p99_latency=1.0)
        self._recognizer = recognizer

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Decode."""
        utterance = self._recognizer.open(lambda _: None)
        utterance.feed(audio)
        words = await utterance.finish()
        if words:
            yield TranscriptionFrame(words, "", time_now_iso8601(), Language.EN, finalized=True)


class PlainTTS(TTSService):
    """pipecat's synthesis: collects sentences, speaks each."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        settings = TTSSettings(model="flite", voice="slt", language=Language.EN)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings)
        self._synthesizer = synthesizer

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence."""
        sound = await self._synthesizer.say(text)
        yield TTSAudioRawFrame(sound, SAMPLE_RATE, 1, context_id=context_id)


async def plain_session(websocket: WebSocket, llm_url: str, stt: Recognizer, tts: Synthesizer) -> None:
    """The plain arrangement, as pipecat's examples build it."""
    await websocket.accept()
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=16000,
            audio_out_sample_rate=SAMPLE_RATE,
            serializer=WireSerializer(lambda: True),
            allowed_origins=[],
        ),
    )
    settings = OpenAILLMService.Settings(model="scripted", system_instruction=PERSONA)
    llm = OpenAILLMService(base_url=llm_url, api_key="none", settings=settings)
    strategies = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=PAUSE_S)])
    user, assistant = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.2)), user_turn_strategies=strategies
        ),
    )
    stages = [transport.input(), PlainSTT(stt), user, llm, PlainTTS(tts), transport.output(), assistant]
    worker = PipelineWorker(
        Pipeline(stages),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=SAMPLE_RATE),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
    )

    async def disconnected(*_: object) -> None:
        await worker.cancel()

    transport.add_event_handler("on_client_disconnected", disconnected)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


@asynccontextmanager
async def llm_server(profile: str) -> AsyncIterator[str]:
    """The scripted server in a process of its own; yields its URL."""
    port = free_port()
    command = [sys.executable, "-m", "testing.fakes.llm_server", "--port", str(port), "--profile", profile]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def both_served(llm_url: str, plain_llm_url: str, folder: Path) -> AsyncIterator[str]:
    """Both arrangements on one port; yields the WebSocket URL in front of ``/ours`` and ``/plain``.

    Each has a language model server of its own, or they would push each other's prompts out of its cache.
    """
    stt, tts = PocketsphinxRecognizer(), FliteSynthesizer()
    model = OpenAIChatModel(llm_url, prompt_style="full")
    agent = Agent(model, [], _Nobody(), storage_in(folder).conversations, persona=lambda: PERSONA)
    runner = TurnRunner(agent, _Nobody())
    sessions = VoiceSessions(agent, runner, _Nobody(), stt, tts, turn_detection="timeout")
    app = FastAPI()

    @app.websocket("/ours")
    async def ours(websocket: WebSocket) -> None:
        await sessions.serve(websocket, "bench")

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        await plain_session(websocket, plain_llm_url, stt, tts)

    try:
        async with served(app) as port:
            await sessions.warm_up()
            try:
                yield f"ws://127.0.0.1:{port}"
            finally:
                await sessions.aclose()
    finally:
        await runner.aclose()
        await agent.aclose()
        await model.aclose()


async def one_turn(caller: Caller, question: bytes) -> float:
    """Ask; the seconds from the last sample to the first sound, once the rest has been played in no time."""
    end = await caller.say(question)
    first = await caller.first_sound(end, timeout=60.0)
    caller.fast_forward = True
    await caller.quiet(1.5, timeout=60.0)
    caller.fast_forward = False
    return first - end


async def one_interruption(caller: Caller, question: bytes) -> float:
    """Speak over an answer; the seconds from the first sample to the last sound of it."""
    await caller.first_sound(await caller.say(question), timeout=60.0)
    await asyncio.sleep(0.8)
    if caller.speaker.audible[-1] < time.monotonic() - 0.3:
        raise RuntimeError("nobody speaks who could be interrupted")
    end = await caller.say(spoken(INTERRUPTION))
    onset = caller.first_sample
    late = [moment - onset for moment in caller.speaker.audible if onset < moment < end]
    if not caller.speaker.interrupts or caller.speaker.interrupts[-1] < onset:
        raise RuntimeError("speaking over the answer did not interrupt it")
    await caller.first_sound(end, timeout=60.0)
    caller.fast_forward = True
    await caller.quiet(1.5, timeout=60.0)
    caller.fast_forward = False
    return max(late, default=0.0)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


async def compare(profile: str, turns: int) -> tuple[list[float], list[float]]:
    """Both arrangements in turns, after one turn each that does not count."""
    measured: dict[str, list[float]] = {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            llm_server(profile) as our_llm,
            llm_server(profile) as plain_llm,
            both_served(our_llm, plain_llm, Path(folder)) as url,
            Caller(f"{url}/ours") as ours,
            Caller(f"{url}/plain", acknowledge=False) as plain,
        ):
            await asyncio.sleep(1.0)
            callers = {"ours": ours, "plain": plain}
            for turn in range(turns + 1):
                question = spoken(QUESTIONS[turn % len(QUESTIONS)])
                order = ("ours", "plain") if turn % 2 else ("plain", "ours")
                for name in order:
                    seconds = await one_turn(callers[name], question)
                    if turn:
                        measured[name].append(seconds)
                if turn:
                    print(
                        f"  {profile} {turn:2}: ours {measured['ours'][-1]:.2f} s, plain {measured['plain'][-1]:.2f} s",
                        file=sys.stderr,
                    )
    return measured["ours"], measured["plain"]


async def interruptions(count: int) -> list[float]:
    """How long our speaker goes on when somebody speaks over it."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            llm_server("25ms") as llm_url,
            both_served(llm_url, llm_url, Path(folder)) as url,
            Caller(f"{url}/ours") as caller,
        ):
            await asyncio.sleep(1.0)
            questions = itertools.cycle(QUESTIONS)
            return [await one_interruption(caller, spoken(next(questions))) for _ in range(count)]


async def real_engine(engines: Path) -> dict[str, Any]:
    """The tokens that a real llama-server evaluates after the last word, with and without work during the speech."""
    from pipecatapp.app import Node
    from testing.engine_node import engine_settings, running

    measured: dict[str, list[int]] = {"prepared": [], "unprepared": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings(Path(folder) / "state", "starter", engines=engines)
        async with running(Node(settings), ["engine"]) as node:
            for name, evaluated in measured.items():
                store = storage_in(Path(folder) / name).conversations
                agent = Agent(node.engine.model, [], _Nobody(), store, persona=lambda: PERSONA)
                for question in QUESTIONS:
                    words = question.split()
                    if name == "prepared":
                        for count in range(2, len(words) + 1):
                            await agent.prepare(name, " ".join(words[:count]))
                    progress = TurnProgress(name)
                    async for _ in agent.respond(name, question, "voice", progress):
                        pass
                    evaluated.append(progress.usage.evaluated_tokens)
                await agent.aclose()
    # The first turn evaluates the system prompt where nothing was prepared: not what is asked here.
    prepared, unprepared = (statistics.median(counts[1:]) for counts in measured.values())
    print(f"real llama-server: {prepared} tokens evaluated after the last word, {unprepared} without preparation")
    return {"real_tokens_after_last_word": prepared, "real_tokens_unprepared": unprepared}


async def measure(profiles: Sequence[str], turns: int, barge_ins: int, engines: Path | None) -> dict[str, Any]:
    """Everything; prints the table as it comes."""
    result: dict[str, Any] = {"turns": turns}
    print(f"{'profile':8} {'ours p50':>9} {'p95':>7} {'plain p50':>10} {'p95':>7} {'ratio p50':>10} {'p95':>6}")
    for profile in profiles:
        ours, plain = await compare(profile, turns)
        row = [percentile(ours, 0.5), percentile(ours, 0.95), percentile(plain, 0.5), percentile(plain, 0.95)]
        ratios = row[0] / row[2], row[1] / row[3]
        seconds = f"{row[0]:8.2f}s {row[1]:6.2f}s {row[2]:9.2f}s {row[3]:6.2f}s"
        print(f"{profile:8} {seconds} {ratios[0]:10.2f} {ratios[1]:6.2f}", flush=True)
        result |= {f"ratio_{profile}_p50": round(ratios[0], 3), f"ratio_{profile}_p95": round(ratios[1], 3)}
        result |= {f"ours_{profile}_p50_s": round(row[0], 3), f"plain_{profile}_p50_s": round(row[2], 3)}
    if barge_ins:
        stops = await interruptions(barge_ins)
        p50, p95 = statistics.median(stops) * 1000, percentile(stops, 0.95) * 1000
        print(f"barge-in: speech onset to silence, {barge_ins} times: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        result |= {"barge_in_p50_ms": round(p50), "barge_in_p95_ms": round(p95)}
    if engines is not None:
        result |= await real_engine(engines)
    result["load_average"] = round(os.getloadavg()[0], 1)
    return result


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench latency", description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="turns of each arrangement and profile")
    parser.add_argument("--profile", default="25ms,200ms,oldpc", help="comma separated: 25ms, 200ms, oldpc")
    parser.add_argument("--barge-ins", type=int, default=20, help="interruptions to measure; 0: none")
    parser.add_argument(
        "--engines", type=Path, help="also count on the real llama-server of this folder, e.g. .cache/engine"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    profiles = [name for name in arguments.profile.split(",") if name]
    result = asyncio.run(measure(profiles, arguments.turns, arguments.barge_ins, arguments.engines))
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
