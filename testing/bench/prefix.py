"""Tokens evaluated per turn over a conversation with tools, against a prompt that changes at the front.

The real agent, the real engine, by the server's own counts; prefills count too. Both arrangements send the same
requests and keep the same history; the other one begins its prompt with the time, as many assistants do.
``--models real`` counts what the first question after a start, and of a new conversation, evaluates beyond its words.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.app import App, Node
from pipecatapp.domain import ComponentHealth, Message, ToolResult, ToolSpec, Usage
from pipecatapp.errors import PipecatAppError
from pipecatapp.events import Event, ToolFinished
from pipecatapp.llm.part import LanguageModel
from pipecatapp.ports import ChatChunk, ChatModel, ChatRequest, ModelProfile, ToolContext
from pipecatapp.settings import Settings
from pipecatapp.tools.part import ToolsPart
from pipecatapp.twin.turn_progress import TurnProgress
from testing.bench.tools import imagined
from testing.engine_node import READY_WITHIN_S, engine_settings, running
from testing.real_models import add_model_options, file_of, real_file

REQUESTS = (
    "Hello there!",
    "What can you do?",
    "What time is it?",
    "Give me a status report",
    "My garden needs water every evening",
    "thanks",
    "what time is it in tokyo",
    "We planted tomatoes behind the shed",
    "what do you remember",
    "summarize what we said about the tomatoes",
)


# What the mind is asked, once the reflex has left it to it.
QUESTIONS = ("Why is the sea salty, in one sentence?", "How do bees find their way home?")
PARTS = ("storage", "approvals", "schedule", "engine", "memory", "tools", "reflex", "twin")


@dataclass
class Counted:
    """``ports.ChatModel`` that adds up what the server evaluated, and can put the time in front of the prompt."""

    model: ChatModel
    changing: bool = False
    usage: Usage = field(default_factory=Usage)
    _requests: itertools.count[int] = field(default_factory=itertools.count)

    async def profile(self) -> ModelProfile:
        """As it is."""
        return await self.model.profile()

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Count, and change the front."""
        if self.changing:
            request = replace(request, messages=self._front(request.messages))
        async for chunk in self.model.stream(request):
            self.usage += chunk.usage or Usage()
            yield chunk

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        """Count it. A prompt that changes at the front has nothing to prefill."""
        if self.changing:
            return Usage()
        usage = await self.model.prefill(messages, slot_key)
        self.usage += usage
        return usage

    async def health(self) -> ComponentHealth:
        """As it is."""
        return await self.model.health()

    def _front(self, messages: Sequence[Message]) -> list[Message]:
        number = next(self._requests)
        clock = f"It is {9 + number // 60:02}:{number % 60:02} now.\n"
        return [replace(messages[0], content=clock + messages[0].content), *messages[1:]]


class _Calls:
    """Counts tool calls."""

    def __init__(self) -> None:
        self.count = 0

    def emit(self, event: Event) -> None:
        """Look at one event."""
        self.count += isinstance(event, ToolFinished)


class _Imagined:
    """``ports.ToolSource`` of a number of tools that other servers might have; none of them is ever called."""

    def __init__(self, count: int) -> None:
        specs = list(imagined(random.Random(0)).values())[:count]
        self._tools = [_Listed(spec) for spec in specs]

    def tools(self) -> Sequence[_Listed]:
        """All of them."""
        return self._tools

    def off(self) -> Mapping[str, str]:
        """None."""
        return {}


@dataclass(frozen=True, slots=True)
class _Listed:
    """A tool that is only listed."""

    spec: ToolSpec

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say so."""
        return ToolResult("This is only a benchmark.")


async def converse(model: Counted, settings: Settings, turns: int, tools: int) -> tuple[list[int], int]:
    """Hold the conversation; the tokens evaluated in each turn, and how many tools were used."""
    calls = _Calls()
    conversation = "bench-changing" if model.changing else "bench-fixed"
    # A state folder belongs to one node at a time.
    node = Node(settings.model_copy(update={"state_dir": settings.state_dir / conversation}))
    node.hub.add_listener(calls.emit)
    node.engine = LanguageModel(model, model)
    node.tools = ToolsPart(node.tools.own, [_Imagined(tools)])
    agent = node.twin.agent
    evaluated: list[int] = []
    app = App(node, ["storage", "memory", "twin"])
    await app.start()
    try:
        for request in itertools.islice(itertools.cycle(REQUESTS), turns):
            before = model.usage.evaluated_tokens
            async for _ in agent.respond(conversation, request, "typed"):
                pass
            await agent.prepare(conversation, "")  # what the agent does while nobody speaks belongs to the turn
            evaluated.append(model.usage.evaluated_tokens - before)
    finally:
        await app.stop()
    return evaluated, calls.count


async def measure(options: argparse.Namespace) -> int:
    """Run both arrangements and print what came out."""
    with tempfile.TemporaryDirectory() as state:
        # The starter model hears of tools by name alone; others are told everything.
        style = {"llm_prompt_style": "full"} if options.tools else {}
        settings = engine_settings(Path(state), file_of(options), engines=options.engines, **style)
        async with running(Node(settings), ["engine"]) as node:
            model = node.engine.model
            profile = await model.profile()
            ours, our_calls = await converse(Counted(model), settings, options.turns, options.tools)
            theirs, their_calls = await converse(Counted(model, changing=True), settings, options.turns, options.tools)
    print(f"model {profile.name}, {profile.context_tokens} tokens of context, {options.turns} turns\n")
    print("turn   fixed front   changing front")
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        print(f"{number:>4}{mine:>14}{other:>17}")
    print(f" all{sum(ours):>14}{sum(theirs):>17}   (tools used: {our_calls} and {their_calls})\n")
    result = {
        "ratio": round(sum(ours) / sum(theirs), 4),
        "evaluated_per_turn": round(sum(ours) / options.turns, 1),
        "evaluated_per_turn_changing": round(sum(theirs) / options.turns, 1),
        "turns": options.turns,
        "tools": our_calls,
        "model": profile.name,
    }
    print(json.dumps(result))
    return 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question to a real model took: the tokens evaluated for it, those of its words and facts, and seconds to
    the first token."""

    evaluated: int
    words: int
    seconds: float

    @property
    def beyond(self) -> int:
        """The tokens beyond words and facts."""
        return self.evaluated - self.words


async def ask(node: Node, conversation: str, question: str) -> Asked:
    """Ask in a new conversation."""
    progress = TurnProgress(conversation, "typed")
    async for _ in node.twin.agent.respond(conversation, question, "typed", progress):
        pass  # the counts come at the end
    words = await count_tokens(node, question)
    return Asked(progress.usage.evaluated_tokens, words, round(progress.first_token_s or 0.0, 3))


async def count_tokens(node: Node, text: str) -> int:
    """The tokens of a text, by the engine's own tokenizer."""
    root = node.engine.url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {node.engine.api_key}"}
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as http:
        answer = await http.post(f"{root}/tokenize", json={"content": text}, headers=headers, timeout=60)
    return len(answer.raise_for_status().json()["tokens"])


async def measure_real(options: argparse.Namespace) -> int:
    """The first question after a start, and the first of a new conversation, with a real model."""
    with tempfile.TemporaryDirectory() as state:
        settings = engine_settings(Path(state), real_file(options), engines=options.engines)
        for boot in ("first", "second"):
            async with running(Node(settings), PARTS) as node:
                await asyncio.wait_for(node.twin.agent.front.is_ready.wait(), READY_WITHIN_S)
                agent = node.twin.agent
                front = await count_tokens(node, agent.front.text)
                at_boot = await ask(node, f"{boot}-boot", QUESTIONS[0])
                new = await ask(node, f"{boot}-conversation", QUESTIONS[1])
                name = (await node.engine.model.profile()).name
            print(f"{boot:<8} start: first question {at_boot}, first of a new conversation {new}")
    print(f"\nmodel {name}, {front} tokens of front\n")
    result = {
        "boot_tokens": at_boot.beyond,
        "boot_s": at_boot.seconds,
        "conversation_tokens": new.beyond,
        "conversation_s": new.seconds,
        "front_tokens": front,
        "model": name,
    }
    print(json.dumps(result))
    return 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench prefix", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30, help="turns of the conversation (default: 30)")
    parser.add_argument("--tools", type=int, default=0, help="further tools, told with their schemas (default: 0)")
    add_model_options(parser, kinds=True)
    options = parser.parse_args()
    try:
        return asyncio.run(measure_real(options) if options.kind == "real" else measure(options))
    except PipecatAppError as error:
        print(f"prefix: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
