"""300 scripted turns with echoes, new values, pretence, hearsay, pages and secrets: what of them is remembered.

Both sides of the conversations are scripted (testing/data/keeping_turns.txt); long-term memory is the real one, and so
is what decides what to keep: patterns with the starter model, else the language model that is named.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipecatapp.app import App, Node
from pipecatapp.domain import ToolCall, Turn
from pipecatapp.errors import PipecatAppError
from pipecatapp.events import Event, MemoryChanged
from pipecatapp.llm.part import LanguageModel
from testing.engine_node import engine_settings, running
from testing.real_models import add_model_options, file_of

TURNS = Path(__file__).resolve().parents[1] / "data/keeping_turns.txt"
_SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is worth keeping of a turn: a fact about ``key`` that holds these ``words``; ``single``: there is one."""

    key: str
    words: str
    single: bool

    def is_in(self, text: str) -> bool:
        """Whether this fact holds it."""
        return all(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) for word in self.words.split())


@dataclass(frozen=True, slots=True)
class Story:
    """A conversation: the turns, and what is expected of each."""

    name: str
    turns: list[tuple[Turn, Expected | None]]


def stories() -> Iterator[Story]:
    """Those of the file."""
    story = Story("", [])
    for line in TURNS.read_text().splitlines():
        if line.startswith("## "):
            if story.turns:
                yield story
            story = Story(line.removeprefix("## "), [])
        elif line and not line.startswith("#"):
            said, answer, tools, wanted, *_ = [*(part.strip() for part in line.split("|")), "", "", ""]
            calls = tuple(ToolCall(str(number), name, {}) for number, name in enumerate(tools.split()))
            turn = Turn(
                f"{story.name} {len(story.turns)}", said, answer or "All right.", "typed", 0.0, tool_calls=calls
            )
            key, _, words = wanted.partition("=")
            expected = Expected(key.rstrip("!"), words, key.endswith("!")) if wanted else None
            story.turns.append((turn, expected))
    yield story


@dataclass
class Outcome:
    """What became of a story. ``kept`` is all that was ever written, ``current`` what holds at the end."""

    kept: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    found: int = 0
    wanted: int = 0
    junk: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


def judge(story: Story, outcome: Outcome) -> None:
    """Compare what was kept with what is worth it."""
    expected = [found for _, found in story.turns if found is not None]
    secrets = [found for found in expected if found.key == _SECRET]
    facts = [found for found in expected if found.key != _SECRET]
    outcome.secrets = [text for text in outcome.kept if any(secret.is_in(text) for secret in secrets)]
    outcome.junk = [text for text in outcome.kept if not any(fact.is_in(text) for fact in facts)]
    outcome.wanted = len(facts)
    outcome.found = sum(any(fact.is_in(text) for text in outcome.kept) for fact in facts)
    for fact in facts:
        differing = [other for other in facts if other.words != fact.words]
        holding = [
            text for text in outcome.current if fact.is_in(text) and not any(other.is_in(text) for other in differing)
        ]
        others = {other.key for other in facts if other.words == fact.words}
        outcome.copies += holding[len(others) :]
    for key in {fact.key for fact in facts if fact.single}:
        values = [fact for fact in facts if fact.key == key]
        stale = [value for value in values if not any(newer.words == value.words for newer in values[-1:])]
        left = [text for text in outcome.current for value in stale if value.is_in(text) and not values[-1].is_in(text)]
        if left and any(values[-1].is_in(text) for text in outcome.kept):
            outcome.contradictions.append(f"{key}: {' / '.join(left)}")


async def tell_story(story: Story, model: LanguageModel, folder: Path, options: argparse.Namespace) -> Outcome:
    """Keep its turns one after the other in a memory of its own."""
    node = Node(engine_settings(folder, file_of(options), engines=options.engines))
    node.engine = model
    outcome = Outcome()

    def note(event: Event) -> None:
        if isinstance(event, MemoryChanged) and event.change in ("added", "corrected"):
            # Said again in the same words, a fact is told as added and stays one.
            outcome.kept += [event.fact] if event.fact not in outcome.kept else []

    node.hub.add_listener(note)
    app = App(node, ["storage", "memory"])
    await app.start()
    try:
        facts = node.memory.facts
        done: list[Turn] = []
        for turn, _ in story.turns:
            await facts.keep(turn, done[-4:])
            done.append(turn)
        outcome.current = [fact.text for fact in await facts.facts(limit=1000)]
    finally:
        await app.stop()
    judge(story, outcome)
    return outcome


async def measure(options: argparse.Namespace) -> int:
    """Tell the stories and print what came out."""
    told = [story for story in stories() if options.story in story.name]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as state:
        settings = engine_settings(Path(state) / "engine", file_of(options), engines=options.engines)
        async with running(Node(settings), ["engine"]) as node:
            model = LanguageModel(node.engine.model, node.engine.model)
            for number, story in enumerate(told):
                outcomes.append(await tell_story(story, model, Path(state) / str(number), options))
                show(story, outcomes[-1])
    total = Counter[str]()
    for outcome in outcomes:
        total.update(
            kept=len(outcome.kept), found=outcome.found, wanted=outcome.wanted, junk=len(outcome.junk),
            copies=len(outcome.copies), contradictions=len(outcome.contradictions), secrets=len(outcome.secrets),
        )  # fmt: skip
    result = {
        "turns": sum(len(story.turns) for story in told),
        "junk": round(total["junk"] / max(1, total["kept"]), 4),
        "copies": total["copies"],
        "contradictions": total["contradictions"],
        "secrets": total["secrets"],
        "kept": total["kept"],
        "found": round(total["found"] / max(1, total["wanted"]), 4),
        "model": Path(options.model).stem,
    }
    print(f"\n{total['kept']} facts were written; of {total['wanted']} that are worth it, {total['found']} are there\n")
    print(json.dumps(result))
    return 0


def show(story: Story, outcome: Outcome) -> None:
    """Print what is wrong with a story."""
    named: Sequence[tuple[str, list[str]]] = (
        ("JUNK", outcome.junk),
        ("COPY", outcome.copies),
        ("CONTRADICTION", outcome.contradictions),
        ("SECRET", outcome.secrets),
    )
    for kind, texts in named:
        for text in texts:
            print(f"{kind} {story.name}: {text}")
    for _, wanted in story.turns:
        if wanted and wanted.key != _SECRET and not any(wanted.is_in(text) for text in outcome.kept):
            print(f"missed {story.name}: {wanted.key} {wanted.words}")


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench keeping", description=(__doc__ or "").partition("\n")[0])
    add_model_options(parser)
    parser.add_argument("--story", default="", help="only the stories with this in their name (default: all)")
    logging.getLogger().setLevel(logging.ERROR)
    try:
        return asyncio.run(measure(parser.parse_args()))
    except PipecatAppError as error:
        print(f"keeping: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
