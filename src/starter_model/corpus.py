"""The corpus: conversations as the brain will hold them, in the text protocol of ``twin/speak/protocol.py``.

``python -m starter_model.corpus --count 5`` prints a few.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipecatapp.domain import Fact, ToolCall
from pipecatapp.twin.speak.protocol import (
    compact_system,
    context_note,
    request_text,
    tool_call_text,
    tool_response_text,
)
from starter_model.results import Results
from starter_model.turns import EXPERTS, NOTHING_SAID, TOOLS, Request, Requests, cannot, no_expert
from starter_model.values import lists

# What this release has; soon all of TOOLS.
FIRST_TOOLS = (
    "clock.now",
    "mcp.clear_short_term_memory",
    "mcp.get_memory_summary",
    "mcp.get_status",
    "route_to_expert",
    "summarizer.get_summary",
)

# What stands in the prompt but somebody else said: rendered as the assistant's, not learned.
EXPERT = "expert"

Message = tuple[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """What exists in a conversation."""

    tools: frozenset[str]
    experts: frozenset[str]

    @property
    def system(self) -> str:
        """The system message."""
        return compact_system(sorted(self.tools), sorted(self.experts))


EVERYTHING = World(frozenset(TOOLS), frozenset(EXPERTS))


def expected_action(request: Request, world: World) -> Request:
    """What the right reaction to ``request`` is in this world."""
    if request.tool == "route_to_expert":
        expert = str(request.arguments["expert"])
        if request.tool not in world.tools or expert not in world.experts:
            return replace(request, tool=None, answer=no_expert(expert))
    elif request.tool is not None and request.tool not in world.tools:
        return replace(request, tool=None, answer=cannot(request.tool))
    return request


class Conversations:
    """Draws conversations of one split, for ever; ``long_share`` of them have five to ten turns, the others fewer."""

    def __init__(self, seed: int, held_out: bool = False, long_share: float = 0.0) -> None:
        self._rng = random.Random(seed)
        self._long_share = long_share
        self.requests = Requests(self._rng, held_out)
        self._results = Results(self._rng, self.requests.values)

    def __iter__(self) -> Iterator[list[Message]]:
        while True:
            yield self.conversation()

    def world(self) -> World:
        """Some tools and experts: all, those of the first release, or a random choice."""
        rng, roll = self._rng, self._rng.random()
        if roll < 0.4:
            tools = frozenset(TOOLS)
        elif roll < 0.65:
            tools = frozenset(FIRST_TOOLS)
        else:
            share = rng.choice([0.3, 0.6, 0.85])
            tools = frozenset(tool for tool in TOOLS if rng.random() < share)
        roll = rng.random()
        if roll < 0.45:
            experts = frozenset(EXPERTS)
        elif roll < 0.62:
            experts = frozenset()
        else:
            experts = frozenset(expert for expert in EXPERTS if rng.random() < 0.6)
        if experts and rng.random() < 0.3:
            experts |= {rng.choice(lists()["expert_extra"])}
        if not experts and rng.random() < 0.8:
            tools -= {"route_to_expert"}
        return World(tools, experts)

    def conversation(self) -> list[Message]:
        """One conversation."""
        world = self.world()
        messages: list[Message] = [("system", world.system)]
        turns = (
            self._rng.randint(5, 10) if self._rng.random() < self._long_share else self._rng.choice([1, 1, 1, 2, 2, 3])
        )
        for turn in range(turns):
            self._turn(world, messages, last=turn == turns - 1)
        return messages

    def _turn(self, world: World, messages: list[Message], *, last: bool) -> None:
        rng = self._rng
        roll = rng.random()
        facts: tuple[str, ...] = ()
        observation = ""
        if roll < 0.52:
            request = self.requests.tool()
        elif roll < 0.69:
            request = self.requests.expert()
        elif roll < 0.86:
            request = self.requests.talk()
        elif roll < 0.94:
            request = self.requests.fact(known=rng.random() < 0.8)
        elif roll < 0.97:
            request = self._camera()
        else:
            request = self.requests.repeat()
        if request.intent == "talk repeat":
            spoken_before = [
                text for role, text in messages if role in ("assistant", EXPERT) and not text.startswith("<")
            ]
            request = replace(request, answer=spoken_before[-1] if spoken_before else NOTHING_SAID)
        request = expected_action(request, world)
        facts = request.facts
        if request.intent == "camera":
            observation = request.answer
        elif rng.random() < 0.08:
            observation = self._results.observation()
            if request.tool == "vision.get_observation" or request.intent.startswith("vision"):
                request = replace(request, intent="camera", tool=None, answer=observation)
        if not facts and not request.intent.startswith("unknown") and rng.random() < 0.22:
            facts = tuple(self.requests.values.loose("statement") for _ in range(rng.choice([1, 1, 2, 3])))
        elif request.intent.startswith("unknown") and rng.random() < 0.4:
            facts = (self.requests.values.loose("statement"),)
        messages.append(("user", self._with_context(request.text, facts, observation)))
        if request.tool is None:
            messages.append(("assistant", request.answer))
            return
        call = ToolCall(id="", name=request.tool, arguments=request.arguments)
        messages.append(("assistant", tool_call_text(call)))
        if last and rng.random() < 0.7:
            return
        result, answer = self._results.of(request)
        expert_spoke = request.tool == "route_to_expert" and not result.startswith("error:")
        messages.append(("user", tool_response_text("the expert answered" if expert_spoke else result)))
        messages.append((EXPERT if expert_spoke else "assistant", answer))

    def _camera(self) -> Request:
        seen = self._results.observation()
        request = self.requests.tool()
        while request.tool != "vision.get_observation":
            request = self.requests.tool()
        return Request(request.text, "camera", answer=seen)

    def _with_context(self, words: str, facts: tuple[str, ...], observation: str) -> str:
        remembered = [Fact(id="", text=text) for text in facts]
        if (remembered or observation) and self._rng.random() < 0.15:
            return f"{words}\n{context_note(remembered, observation)}".rstrip("\n")
        return request_text(words, remembered, observation)


def render(messages: list[Message]) -> str:
    """ChatML, as the chat template inside the GGUF writes it."""
    shown = [("assistant" if role == EXPERT else role, text) for role, text in messages]
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in shown)


def main() -> None:
    """Print conversations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=5, help="how many conversations")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other conversations")
    parser.add_argument("--held-out", action="store_true", help="the split that is never trained on")
    options = parser.parse_args()
    source = Conversations(options.seed, options.held_out)
    for _ in range(options.count):
        print(render(source.conversation()))


if __name__ == "__main__":
    main()
