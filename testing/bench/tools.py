"""How often the right tool is among those offered, with 50 and 200 tools, and how long choosing takes.

The agent's own tools with their hand-written requests, and tools of imagined servers (testing/data/tool_catalogue.txt)
with requests that were never used for tuning. Which of the imagined tools are there, and in which of two wordings, is
drawn anew in each round; every request is asked in at least one. --url also lets a model write the whole call, through
the real prompt and parser.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipecatapp.domain import Message, ToolSpec
from pipecatapp.errors import PipecatAppError
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.ports import ChatRequest, ModelProfile
from pipecatapp.tools.choice.chooser import MeaningChooser
from pipecatapp.tools.registry import TOOLS, spec_of
from pipecatapp.twin.act.tool_selection import ToolSelection
from pipecatapp.twin.speak.dialect import dialect_of
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.protocol import full_system, request_text

DATA = Path(__file__).parents[1] / "data"
ANY_MODEL = ModelProfile("any", context_tokens=8192)
PERSONA = "You are a helpful voice assistant. Answer briefly."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and the tool that it is for; ``arguments`` where the whole call is known."""

    text: str
    tool: str
    arguments: Mapping[str, object] | None = None


@dataclass(slots=True)
class Tally:
    """What came of the requests."""

    asked: int = 0
    missed: list[tuple[str, str]] | None = None
    exact: int = 0
    called: int = 0

    @property
    def recall(self) -> float:
        """The share of requests whose tool was offered."""
        return 1 - len(self.missed or ()) / max(1, self.asked)


def imagined(rng: random.Random) -> dict[str, ToolSpec]:
    """The tools of the catalogue, each in one of its wordings."""
    found = {}
    for line in _lines(DATA / "tool_catalogue.txt"):
        name, *wordings, arguments = (part.strip() for part in line.split("|"))
        names = [] if arguments == "none" else arguments.split()
        parameters = {
            "type": "object",
            "properties": {argument.strip("*"): {"type": "string"} for argument in names},
            "required": [argument.strip("*") for argument in names if argument.endswith("*")],
        }
        found[name] = ToolSpec(name, rng.choice(wordings), parameters, untrusted=True)
    return found


def foreign_requests(tuning: bool) -> list[Asked]:
    """Requests for imagined tools."""
    file = "tool_requests_tuning.txt" if tuning else "tool_requests.txt"
    pairs = (line.split("|", 1) for line in _lines(DATA / file))
    return [Asked(text.strip(), tool.strip()) for tool, text in pairs]


def own_requests(tuning: bool, own: Mapping[str, ToolSpec]) -> list[Asked]:
    """Requests for the agent's own tools: written by hand, or for tuning those that the starter model learns from."""
    if tuning:
        from starter_model.turns import Requests

        drawn = Requests(random.Random(5), held_out=False)
        asked = [drawn.tool() for _ in range(400)]
        return [Asked(request.text, request.tool or "", request.arguments) for request in asked if request.tool in own]
    rows = map(json.loads, _lines(DATA / "starter_handwritten.jsonl"))
    return [Asked(row["text"], row["tool"], row["args"]) for row in rows if row["tool"] in own]


def houses(
    size: int, own: Mapping[str, ToolSpec], requests: Sequence[Asked], seed: int
) -> Iterable[tuple[list[ToolSpec], list[Asked]]]:
    """Sets of ``size`` tools, each with the requests for them; together they cover all requests."""
    rng = random.Random(seed)
    catalogue = imagined(rng)
    wanted = defaultdict(list)
    for request in requests:
        wanted[request.tool].append(request)
    left = sorted(set(wanted) & set(catalogue))
    rng.shuffle(left)
    room = size - len(own)
    first = True
    while left or first:
        names, left = left[:room], left[room:]
        others = sorted(set(catalogue) - set(names))
        names += rng.sample(others, room - len(names))
        asked = [request for name in names for request in wanted.get(name, ())]
        if first:
            asked += [request for name in own for request in wanted.get(name, ())]
        first = False
        tools = [*own.values(), *(catalogue[name] for name in names)]
        rng.shuffle(tools)
        yield tools, asked


async def measure(options: argparse.Namespace) -> int:
    """Ask everything, print what came out."""
    own = {name: spec_of(name) for name in TOOLS}
    requests = [*own_requests(options.tuning, own), *foreign_requests(options.tuning)]
    seconds: list[float] = []
    result: dict[str, float | int | str] = {}
    print(f"{len(own)} own tools, {len(imagined(random.Random(0)))} imagined ones, {len(requests)} requests\n")
    for size in (50, 200):
        tally = Tally(missed=[])
        for seed in range(options.rounds):
            chooser = MeaningChooser()
            for tools, asked in houses(size, own, requests, seed):
                await _ask(chooser, tools, asked, tally, seconds)
        result[f"recall_{size}"] = round(tally.recall, 4)
        print(f"{size:>4} tools: the right one offered in {tally.recall:.2%} of {tally.asked} requests")
        for tool, text in sorted(set(tally.missed or ())) if options.misses else ():
            print(f"       {tool}: {text}")
    result["p95_ms"] = round(statistics.quantiles(seconds, n=20)[-1] * 1000, 2)
    result["p50_ms"] = round(statistics.median(seconds) * 1000, 2)
    result["offered"] = round(statistics.mean(_OFFERED), 1)
    print(f"choosing takes {result['p50_ms']} ms, 95 of 100 within {result['p95_ms']} ms; "
          f"{result['offered']} tools beside the core on average\n")  # fmt: skip
    if options.url:
        result["exact_50"], result["asked"] = await _exact(options, own, requests)
    print(json.dumps(result))
    return 0


_TIMES = 3
_OFFERED: list[int] = []


async def _ask(
    chooser: MeaningChooser, tools: list[ToolSpec], asked: Sequence[Asked], tally: Tally, seconds: list[float]
) -> None:
    selection = ToolSelection(tools, (), chooser, dialect_of(ANY_MODEL))
    await selection.choose("hello")  # the index is made when the set of tools changes, not when somebody asks
    for request in asked:
        took = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            fitting = await selection.choose(request.text)
            took.append(time.perf_counter() - began)
        seconds.append(min(took))  # others on this machine are not what is measured
        _OFFERED.append(len(fitting))
        tally.asked += 1
        if request.tool not in {tool.name for tool in [*selection.fixed, *fitting]}:
            assert tally.missed is not None
            tally.missed.append((request.tool, request.text))


async def _exact(
    options: argparse.Namespace, own: Mapping[str, ToolSpec], requests: Sequence[Asked]
) -> tuple[float, int]:
    """The share of calls that a model writes exactly as wanted; requests whose whole call is known."""
    model = OpenAIChatModel(options.url, model=options.model, api_key=options.key)
    known = [request for request in requests if request.arguments is not None][: options.limit]
    right = 0
    try:
        profile = replace(await model.profile(), prompt_style="full")
        tools, _ = next(iter(houses(50, own, [], 0)))
        selection = ToolSelection(tools, (), MeaningChooser(), dialect_of(profile))
        system = Message("system", full_system(PERSONA, selection.fixed, [], more_tools=selection.many))
        for request in known:
            content = request_text(request.text, tools=await selection.choose(request.text))
            parser = MessageParser({tool.name: tool.parameters for tool in tools})
            chat = ChatRequest([system, Message("user", content)], max_tokens=200, temperature=0.0)
            async for chunk in model.stream(chat):
                parser.feed(chunk.text)
            parser.finish()
            right += [(call.name, dict(call.arguments)) for call in parser.calls] == [(request.tool, request.arguments)]
    finally:
        await model.aclose()
    print(f"the whole call is right in {right} of {len(known)}\n")
    return round(right / max(1, len(known)), 4), len(known)


def _lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench tools", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="draws of the imagined tools (default: 3)")
    parser.add_argument("--tuning", action="store_true", help="ask the requests that are for tuning")
    parser.add_argument("--misses", action="store_true", help="list the requests whose tool was not offered")
    parser.add_argument("--url", default="", help="an OpenAI-compatible model, to write the whole call")
    parser.add_argument("--model", default="", help="its name there")
    parser.add_argument("--key", default="", help="its key")
    parser.add_argument("--limit", type=int, default=1000, help="at most so many calls (default: 1000)")
    try:
        return asyncio.run(measure(parser.parse_args()))
    except PipecatAppError as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
