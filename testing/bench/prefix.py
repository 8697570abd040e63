"""Tokens evaluated per turn over a conversation with tools, against a prompt that changes at the front.

The real agent, the real engine, by the server's own counts; prefills count too. Both arrangements send the same
requests and keep the same history; the other one begins its prompt with the time, as many assistants do.
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

from pipecatapp.app import App, Node
from pipecatapp.domain import ComponentHealth, Message, ToolResult, ToolSpec, Usage
from pipecatapp.errors import PipecatAppError
from pipecatapp.events import Event, ToolFinished
from pipecatapp.llm.part import LanguageModel
from pipecatapp.ports import ChatChunk, ChatModel, ChatRequest, ModelProfile, ToolContext
from pipecatapp.settings import Settings
from pipecatapp.tools.part import ToolsPart
from testing.bench.tools import imagined
from testing.engine_node import ENGINES, engine_settings, running

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
        settings = engine_settings(Path(state), options.model, engines=options.engines, **style)
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


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench prefix", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30, help="turns of the conversation (default: 30)")
    parser.add_argument("--tools", type=int, default=0, help="further tools, told with their schemas (default: 0)")
    parser.add_argument("--model", default="starter", help="starter, a name of the catalogue or a GGUF")
    parser.add_argument(
        "--engines", type=Path, default=ENGINES, help="where engines lie unpacked (default: .cache/engine)"
    )
    try:
        return asyncio.run(measure(parser.parse_args()))
    except PipecatAppError as error:
        print(f"prefix: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
