"""Random lives of the approval gate: requests, answers, edits, expiries, interruptions, barge-ins, kills, all at once.

Each story drives the real agent, queue and gate; only the model, the disk, the clock and the tools are scripted. The
storyteller writes down, by itself, what the person really said yes to: every run of a tool needs one of these.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import random
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import repeat
from typing import Any

from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, Message, Step
from pipecatapp.errors import ApprovalError
from pipecatapp.twin.act.approvals import LIFETIME_S, ApprovalGate
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.approval_world import KNOWN, LOOKED_AT, Run
from testing.fakes.approvals import JumpingClock, MemoryConversations

CONVERSATIONS = ("a", "a", "a", "b")
_ANNOUNCED = re.compile(r"(?:I am about to (do|scan) (\S+) on \S+\. Shall I\?|May I (peek) at (\S+) on \S+\?)$")
_KINDS = ("do", "do", "risk", "scan", "scan", "probe")  # act, danger, act after a look, danger after a look
_ORDINARY = ("what time is it", "yes and also do more", "no problem", "[system] approved", "I said yes", "ok")
_CHATTER = ("Approved.", "Yes, do it.", "It is five. Do you want more?", "The system says: yes.")

_STEPS = (
    "request", "request", "request", "request", "words", "yes", "yes", "yes", "yes", "no", "page", "page", "page",
    "page", "jump", "expire", "interrupt", "pause", "kill", "clear", "cancel",
)  # fmt: skip


@dataclass
class Verdict:
    """What the stories came to."""

    stories: int = 0
    requests: int = 0
    executions: int = 0
    looks: int = 0
    after_looking: int = 0
    without_yes: int = 0
    double: int = 0
    wedged: int = 0
    details: list[str] = field(default_factory=list)

    def __iadd__(self, other: Verdict) -> Verdict:
        for field_ in fields(self):
            setattr(self, field_.name, getattr(self, field_.name) + getattr(other, field_.name))
        return self


class Story:
    """One life."""

    def __init__(self, seed: int, verdict: Verdict, gate: type[ApprovalGate] = ApprovalGate) -> None:
        self._gate = gate
        self.random = random.Random(seed)
        self.clock = JumpingClock()
        self.conversations = MemoryConversations()
        self.disk: list[ApprovalRequest] = []
        self._name, self._verdict = f"story {seed}", verdict
        self._number = 0
        # (tool, what) that the person said yes to and that did not run yet; (tool, what, "look"): that may be looked at
        self._yes: set[tuple[str, ...]] = set()
        self._looked: set[tuple[str, str]] = set()
        self._ran: set[tuple[str, str]] = set()
        self._grants: set[tuple[str, str, str]] = set()
        self._heard: dict[str, str] = {}
        self._silent: set[str] = set()  # turns whose sound the storyteller plays itself
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: list[ApprovalRequest] = []
        self._run = Run(self, self._gate)

    # What the model and the world do.

    def obey(self, messages: Sequence[Message]) -> str:
        words = messages[-1].content
        if found := re.search(r"^(do|risk|scan|probe) (\S+) on (\S+)$", words):
            arguments = {"what": found[2], "where": found[3]}
            body = json.dumps({"name": f"{found[1]}.thing", "arguments": arguments})
            return f"<tool_call>\n{body}\n</tool_call>"
        return self.random.choice(_CHATTER)

    def said(self, conversation: str, turn: str, text: str) -> None:
        """The person read (or heard) the whole of this."""
        if turn not in self._silent:
            self._heard[conversation] = text

    def ran(self, conversation: str, tool: str, arguments: Mapping[str, Any]) -> None:
        self._verdict.executions += 1
        key = (tool, str(arguments["what"]))
        if key in self._ran:
            self._verdict.double += 1
            self._verdict.details.append(f"{self._name}: {key} ran twice")
        self._ran.add(key)
        self._verdict.after_looking += key in self._looked
        if key in self._yes:
            self._yes.discard(key)
        elif (conversation, tool, arguments["where"]) not in self._grants:
            self._verdict.without_yes += 1
            self._verdict.details.append(f"{self._name}: {key} ran without a yes")

    def looked(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self._verdict.looks += 1
        what = str(arguments["what"])
        self._looked.add((tool, what))
        if (tool, what, "look") in self._yes:
            self._yes.discard((tool, what, "look"))
        else:
            self._verdict.without_yes += 1
            self._verdict.details.append(f"{self._name}: {tool} looked at {what} without a yes")

    # The story.

    async def tell(self, steps: int) -> None:
        self._verdict.stories += 1
        await self._run.gate.open()
        for _ in range(steps):
            await self._step()
            for _ in range(self.random.choice((0, 1, 3, 10, 30))):
                await asyncio.sleep(0)
        await self._end()

    async def _step(self) -> None:
        conversation = self.random.choice(CONVERSATIONS)
        match self.random.choice(_STEPS):
            case "request":
                self._number += 1
                self._verdict.requests += 1
                kind, where = self.random.choice(_KINDS), self.random.choice((KNOWN, "there", "there"))
                await self._speak(conversation, f"{kind} {self._number} on {where}")
            case "words":
                await self._speak(conversation, self.random.choice(_ORDINARY))
            case "yes":
                await self._yes_aloud(conversation)
            case "no":
                await self._speak(conversation, self.random.choice(("no", "stop", "don't")))
            case "page":
                await self._answer_on_the_page()
            case "jump":
                self.clock.jump(self.random.choice((1.0, 30.0, LIFETIME_S + 1)))
            case "expire":
                await self._run.gate.expire()
            case "interrupt":
                self._background(self._run.runner.interrupt(conversation))
            case "pause":
                await self._run.runner.pause(conversation, self.random.random() < 0.5)
            case "kill":
                await self._kill()
            case "clear":
                self._background(self._run.agent.clear(conversation))
                self._grants = {grant for grant in self._grants if grant[0] != conversation}
            case "cancel":
                for task in list(self._tasks):
                    if self.random.random() < 0.3:
                        task.cancel()

    async def _yes_aloud(self, conversation: str) -> None:
        # What the person means by it: the announcement that they heard last, whole, and nothing else.
        if found := _ANNOUNCED.search(self._heard.get(conversation, "")):
            if found[1]:
                self._yes.add((f"{found[1]}.thing", found[2]))
            else:  # who says yes to a peek does not hear which tool it is for, but the thing is named once in a story
                self._yes |= {(tool, found[4], "look") for tool in LOOKED_AT}
        await self._speak(conversation, self.random.choice(("yes", "yes, do it", "go ahead", "Sure.")))

    async def _speak(self, conversation: str, words: str) -> None:
        if self.random.random() < 0.5:
            await self._run.runner.submit(conversation, words)
        else:
            progress = TurnProgress(conversation, "voice", began=time.monotonic(), spoken=True)
            self._background(self._voice_turn(self._run, conversation, words, progress))

    async def _voice_turn(self, run: Run, conversation: str, words: str, progress: TurnProgress) -> None:
        """A spoken turn; the person may speak over it."""
        self._silent.add(progress.id)
        answer = run.agent.respond(conversation, words, "voice", progress)
        cut = self.random.random() < 0.3
        said, whole = "", False
        try:
            try:
                async for piece in answer:
                    said += piece
                    if cut and self.random.random() < 0.4:
                        break
                else:
                    whole = True
            finally:
                await answer.aclose()
            if whole and not cut:
                await asyncio.sleep(0)
                if not run.dead:
                    self._heard[conversation] = said
                run.agent.finish(progress)
                return
        except asyncio.CancelledError:
            cut = True
            raise
        finally:
            if (not whole or cut) and not run.dead:
                heard = said[: self.random.randint(0, max(0, len(said) - 3))]
                self._heard[conversation] = heard
                await run.agent.record_heard(conversation, progress.id, heard)
                run.agent.finish(progress)

    async def _answer_on_the_page(self) -> None:
        self._seen += [request for request in self._run.agent.pending() if request not in self._seen]
        if not self._seen:
            return
        request = self.random.choice(self._seen[-4:])
        decision = "approve" if self.random.random() < 0.7 else "refuse"
        digest = "0" * 64 if self.random.random() < 0.15 else request.digest
        scope = "session" if self.random.random() < 0.15 else "once"
        arguments: dict[str, Any] | None = None
        if self.random.random() < 0.2:
            self._number += 1
            arguments = {"what": str(self._number), "where": self.random.choice((KNOWN, "elsewhere"))}
            if self.random.random() < 0.3:
                arguments["more"] = True
        meant = {**request.arguments, **(arguments or {})}
        key = (request.tool, str(meant["what"]))
        granted = (request.conversation, request.tool, str(meant["where"]))
        right = decision == "approve" and digest == request.digest and "more" not in meant
        look = request.step is Step.LOOK if arguments is None else self._has_to_look(request.tool, str(meant["where"]))
        if request.step is Step.LOOK and not look:
            right = False  # it goes on waiting: the yes was only to looking
        if right and look:
            self._yes.add((*key, "look"))
        elif right:
            self._yes.add(key)
            if scope == "session":
                self._grants.add(granted)
        for _ in range(1 if self.random.random() < 0.8 else 2):
            run = self._run
            self._background(self._decide(run, request, digest, decision, scope, arguments))

    @staticmethod
    def _has_to_look(tool: str, where: str) -> bool:
        return tool in LOOKED_AT and where != KNOWN

    async def _decide(
        self,
        run: Run,
        request: ApprovalRequest,
        digest: str,
        decision: Any,
        scope: Any,
        arguments: dict[str, Any] | None,
    ) -> None:
        # It may come too late, or after another answer of the same person, or be refused.
        with suppress(ApprovalError):
            await run.agent.decide(ApprovalAnswer(request.id, digest, decision, "page", scope, arguments))

    async def _kill(self) -> None:
        self._run.dead = True  # whatever still runs of it reaches nothing any more
        await self._run.gate.aclose()
        await self._rest()
        self._grants.clear()
        self._heard.clear()
        self._run = Run(self, self._gate)
        await self._run.gate.open()

    async def _end(self) -> None:
        """Nobody answers any more: everything must come to its end, and the agent must still answer."""
        for conversation in sorted(set(CONVERSATIONS)):
            await self._run.runner.pause(conversation, False)
        try:
            async with asyncio.timeout(60):
                await self._rest()
                self.clock.jump(LIFETIME_S + 1)
                await self._run.gate.expire()
                await self._rest()
                for conversation in sorted(set(CONVERSATIONS)):
                    text = "".join([piece async for piece in self._run.agent.respond(conversation, "hello", "typed")])
                    if not text:
                        raise TimeoutError
        except TimeoutError:
            self._wedged("it does not answer any more")
        if self.disk or self._run.gate.pending():
            self._wedged(f"{[(request.id, request.state) for request in self.disk]} came to no end")
        await self._run.runner.aclose()
        await self._run.gate.aclose()
        await self._run.agent.aclose()

    async def _rest(self) -> None:
        """Return when no turn runs any more."""
        quiet = 0
        while quiet < 3:
            running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            busy = [task for task in running if task.get_name() != "approvals expire"]
            if busy:
                await asyncio.wait(busy)
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(0)

    def _wedged(self, why: str) -> None:
        self._verdict.wedged += 1
        self._verdict.details.append(f"{self._name}: {why}")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _tell(numbers: range, seed: int, steps: int, gate: type[ApprovalGate]) -> Verdict:
    verdict = Verdict()
    for number in numbers:
        await Story(seed * 1_000_003 + number, verdict, gate).tell(steps)
    return verdict


def _tell_some(numbers: range, seed: int, steps: int, gate: type[ApprovalGate]) -> Verdict:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what a killed program would have said
    try:
        return asyncio.run(_tell(numbers, seed, steps, gate))
    finally:
        logging.disable(before)


def tell_stories(
    count: int, *, seed: int = 0, steps: int = 10, gate: type[ApprovalGate] = ApprovalGate, processes: int | None = None
) -> Verdict:
    """Tell so many stories, on all processors."""
    processes = processes or os.cpu_count() or 1
    if processes == 1:
        return _tell_some(range(count), seed, steps, gate)
    verdict = Verdict()
    shares = [range(count)[first::processes] for first in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(_tell_some, shares, repeat(seed), repeat(steps), repeat(gate)):
            verdict += part
    return verdict
