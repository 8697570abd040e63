"""The starter model's figures: right tool, right expert, no tool on small talk; prompt, grammar and engine for real."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

from pipecatapp.domain import Expert, Message, ToolSpec
from pipecatapp.errors import PipecatAppError
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor, ModelFile
from pipecatapp.ports import ChatModel, ChatRequest
from pipecatapp.twin.speak.grammar import turn_grammar
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.protocol import TOOL_CALL_OPEN, compact_system
from pipecatapp.twin.understand.routing import ROUTE, route_spec
from starter_model.scoring import Case, Reaction, same
from starter_model.turns import EXPERTS, OPTIONAL, TOOLS, Requests

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "starter.gguf"
HANDWRITTEN = ROOT / "testing" / "data" / "starter_handwritten.jsonl"
ENGINES = ROOT / ".cache" / "engine"


def tool_specs() -> list[ToolSpec]:
    """Every tool of the house, as schemas."""
    specs = [route_spec([Expert(name) for name in EXPERTS])]
    for tool, arguments in TOOLS.items():
        if tool != ROUTE:
            properties = {name: {"type": "integer" if name == "seconds" else "string"} for name in arguments}
            required = [name for name in arguments if name not in OPTIONAL]
            parameters = {"type": "object", "properties": properties, "required": required}
            specs.append(ToolSpec(tool, "", parameters, copied=tuple(n for n in arguments if n != "seconds")))
    return sorted(specs, key=lambda spec: spec.name)


def generated_cases(tools: int, experts: int, talk: int, seed: int) -> list[Case]:
    """Held-out requests: patterns, names and values that training never sees."""
    requests = Requests(random.Random(seed), held_out=True)
    drawn = [requests.tool() for _ in range(tools)]
    drawn += [
        request for request in (requests.expert() for _ in range(experts * 2)) if request.intent != "expert named"
    ][:experts]
    drawn += [requests.talk() for _ in range(talk)]
    return [Case(r.text, r.tool, dict(r.arguments), r.intent) for r in drawn]


def read_cases(path: Path) -> list[Case]:
    """Cases from a JSON Lines file of ``{"text", "tool", "args"}``; a null tool: the model should speak."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Case(row["text"], row.get("tool"), row.get("args") or {}, row.get("tool") or "none") for row in rows]


class Examiner:
    """Asks the model, one request at a time."""

    def __init__(self, model: ChatModel, *, grammar: bool) -> None:
        self._model = model
        self._grammar = grammar
        self._specs = tool_specs()
        self._system = Message("system", compact_system(list(TOOLS), EXPERTS))

    async def react(self, text: str) -> Reaction:
        """What the model does with a request."""
        grammar = turn_grammar(self._specs, EXPERTS, text) if self._grammar else None
        request = ChatRequest([self._system, Message("user", text)], max_tokens=256, temperature=0.0, grammar=grammar)
        written = "".join([chunk.text async for chunk in self._model.stream(request)])
        parser = MessageParser({spec.name: spec.parameters for spec in self._specs})
        said = parser.feed(written) + parser.finish()
        if parser.error is not None:
            return Reaction("malformed", {}, written)
        if not parser.calls:
            return Reaction(None, {}, said)
        return Reaction(parser.calls[0].name, parser.calls[0].arguments, written)

    async def score(self, cases: Sequence[Case], failures: list[tuple[Case, Reaction]]) -> dict[str, list[bool]]:
        """Hits by intent."""
        hits: defaultdict[str, list[bool]] = defaultdict(list)
        for case in cases:
            reaction = await self.react(case.text)
            right = same(case, reaction)
            if case.intent.startswith("expert "):
                right = reaction.tool == ROUTE and reaction.arguments.get("expert") == case.arguments["expert"]
            elif case.intent.startswith("talk "):
                right = reaction.tool is None
            hits[case.intent].append(right)
            if not right:
                failures.append((case, reaction))
        return dict(hits)


def _link_engines(engines: Path, folder: Path) -> None:
    """Engines are shared; their log and status are not, for others may run one from the same folder."""
    for installed in engines.glob("*-*/"):
        (folder / installed.name).symlink_to(installed.resolve())


@contextlib.asynccontextmanager
async def engine(model: Path, engines: Path) -> AsyncIterator[OpenAIChatModel]:
    """A llama-server of our own with this model."""
    with tempfile.TemporaryDirectory() as temporary, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        folder = Path(temporary)
        _link_engines(engines, folder)
        supervisor = EngineSupervisor(engines=folder, models=[ModelFile(model, "starter")], port=port, build=False)
        await supervisor.start()
        client = OpenAIChatModel(supervisor.base_url, api_key=supervisor.api_key)
        try:
            await asyncio.wait_for(supervisor.wait_ready(), 300)
            yield client
        finally:
            await client.aclose()
            await supervisor.stop()


def share(hits: Iterable[bool]) -> float:
    """Part of the hits that is true."""
    listed = list(hits)
    return round(sum(listed) / len(listed), 4) if listed else 0.0


def print_table(title: str, hits: dict[str, list[bool]]) -> None:
    """One line per intent."""
    print(f"\n{title}")
    for intent, listed in sorted(hits.items()):
        print(f"  {intent:<36}{sum(listed):>5} of {len(listed):>4}{100 * share(listed):>8.1f} %")


async def measure(options: argparse.Namespace) -> dict[str, float | int | bool]:
    """Run the cases and print the tables."""
    failures: list[tuple[Case, Reaction]] = []
    async with contextlib.AsyncExitStack() as stack:
        if options.url:
            model = OpenAIChatModel(options.url, prompt_style="compact")
            stack.push_async_callback(model.aclose)
        else:
            model = await stack.enter_async_context(engine(options.model, options.engines))
        examiner = Examiner(model, grammar=not options.no_grammar)
        result: dict[str, float | int | bool] = {"grammar": not options.no_grammar}
        if options.data:
            hits = await examiner.score(read_cases(options.data), failures)
            print_table(str(options.data), hits)
            calls = [hit for intent, listed in hits.items() if intent != "none" for hit in listed]
            result |= {
                "tool_exact": share(hit for i, listed in hits.items() if i not in ("none", ROUTE) for hit in listed),
                "routing": share(hits.get(ROUTE, [])),
                "smalltalk_no_tool": share(hits.get("none", [])),
                "calls_exact": share(calls),
                "exact": share(hit for listed in hits.values() for hit in listed),
                "cases": sum(map(len, hits.values())),
            }
        else:
            cases = generated_cases(options.count * 2, options.count, options.count, options.seed)
            hits = await examiner.score(cases, failures)
            print_table("held-out generated requests", hits)
            written = await examiner.score(read_cases(HANDWRITTEN), failures)
            print_table("requests written by hand", written)
            result |= {
                "tool_exact": share(
                    hit for i, listed in hits.items() if not i.startswith(("expert ", "talk ")) for hit in listed
                ),
                "routing": share(hit for i, listed in hits.items() if i.startswith("expert ") for hit in listed),
                "smalltalk_no_tool": share(
                    hit for i, listed in hits.items() if i.startswith("talk ") for hit in listed
                ),
                "handwritten_exact": share(hit for listed in written.values() for hit in listed),
                "cases": len(cases) + sum(map(len, written.values())),
            }
        result["size_mb"] = round(options.model.stat().st_size / 1e6, 2)
    if options.failures:
        print("\nnot as wanted:")
        for case, reaction in failures:
            got = (
                reaction.said
                if reaction.tool is None
                else f"{reaction.tool} {json.dumps(dict(reaction.arguments), ensure_ascii=False)}"
            )
            wanted = f"{case.tool} {json.dumps(dict(case.arguments), ensure_ascii=False)}" if case.tool else "words"
            print(f"  {case.text!r}\n    wanted {wanted}\n    got    {got.replace(TOOL_CALL_OPEN, '')}")
    return result


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench starter-model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help='score a JSON Lines file of {"text", "tool", "args"} instead')
    parser.add_argument(
        "--url", default="", help="OpenAI base URL of a llama-server that has the model; default: start one"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="the GGUF (default: models/starter.gguf)")
    parser.add_argument("--engines", type=Path, default=ENGINES, help="folder of engines (default: .cache/engine)")
    parser.add_argument("--count", type=int, default=300, help="held-out requests per kind; of tools twice as many")
    parser.add_argument("--seed", type=int, default=2027, help="another seed, other held-out requests")
    parser.add_argument("--no-grammar", action="store_true", help="without copy-constrained decoding")
    parser.add_argument("--failures", action="store_true", help="print what went wrong")
    options = parser.parse_args()
    try:
        result = asyncio.run(measure(options))
    except PipecatAppError as error:
        print(f"starter: {error}", file=sys.stderr)
        return 1
    print()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
