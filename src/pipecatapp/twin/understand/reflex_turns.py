"""Turns that the reflex decides without a model: a tool that is clearly meant, a question, or why it cannot be done."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipecatapp.domain import Change, Message, Risk, ToolCall, ToolResult, ToolSpec, speaker_of
from pipecatapp.errors import StorageError
from pipecatapp.intents import Dialogue, Guess, Intent, OpenQuestion, Part
from pipecatapp.ports import ChangeLog, Reflex
from pipecatapp.twin.act.toolbox import Toolbox
from pipecatapp.twin.open_conversations import OpenConversation, RunningTurn
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.protocol import defuse, request_text
from pipecatapp.twin.speak.tool_loop import ToolLoop
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.streams import closing, one
from pipecatapp.twin.understand.reflex_words import (
    AMENDING,
    DROPPED,
    TAKEN_BACK,
    ask_missing,
    ask_which,
    explain_cannot,
    explain_command,
)
from pipecatapp.twin.understand.routing import Routing

logger = logging.getLogger(__name__)

UNDO = "undo"
# A tool that wants to know what about, where nothing is said of it: the whole request.
_ABOUT: Mapping[str, str] = {"summarizer.get_summary": "query"}


class ReflexTurns:
    """Answers what the reflex decides.

    Args:
        reflex: decides; None: every request is the model's.
        toolbox: what can be done now.
        routing: the experts, and who was chosen by hand.
        prompts: builds the request.
        dialect: how the model wants to be spoken to.
        loop: runs the call.
        changes: what was changed, to put it right; None: nothing of the kind is kept.
    """

    def __init__(
        self,
        reflex: Reflex | None,
        toolbox: Toolbox,
        routing: Routing,
        prompts: PromptBuilder,
        dialect: CurrentDialect,
        loop: ToolLoop,
        changes: ChangeLog | None = None,
    ) -> None:
        self._reflex = reflex
        self._toolbox = toolbox
        self._routing = routing
        self._prompts = prompts
        self._dialect = dialect
        self._loop = loop
        self._changes = changes

    async def begin(self, state: OpenConversation, turn: RunningTurn) -> AsyncIterator[str] | None:
        """The answer, about to stream; None where it is for the mind, an expert, or whoever was chosen by hand."""
        if self._reflex is None or self._routing.chosen(state.id):
            return None
        specs = {spec.name for spec in self._toolbox.specs}
        dialogue = Dialogue(
            tools=frozenset(specs),
            off=self._toolbox.off,
            experts=frozenset(expert.name for expert in self._routing.experts()),
            done=state.last_done,
            asked=state.asked,
        )
        before = state.last_turn
        state.last_done, state.asked, state.last_turn = (), None, turn.progress.id
        intent = await self._reflex.decide(turn.text, dialogue)
        words = f"{state.last_words} {turn.text}" if intent.continues else turn.text
        state.last_words = words
        if intent.parts and (parts := self._order(intent.parts, dialogue)):
            return await self._act_all(state, turn, parts, dialogue)
        match intent.kind:
            case "tool" if intent.amends and self._spec(intent.guesses[0].tool).risk is not Risk.READ:
                return await self._amend(state, turn, intent, words, before)
            case "tool" if lacks := self._lacks(intent):
                state.asked = OpenQuestion(intent.guesses, lacks)
                return await self._say(state, turn, ask_missing(intent.guesses[0].tool, lacks))
            case "tool":
                return await self._act(state, turn, [Part(turn.text, intent)], words)
            case "unsure":
                state.asked = OpenQuestion(intent.guesses[:2])
                return await self._say(state, turn, ask_which(intent.guesses, partly=intent.partly))
            case "dropped":
                return await self._say(state, turn, DROPPED)
            case "cannot" if self._can_explain(intent, dialogue):
                return await self._say(state, turn, explain_cannot(intent.wants, dialogue.off))
            case _:
                # Tools of other servers may do what ours cannot: then the mind decides.
                return None

    async def _say(self, state: OpenConversation, turn: RunningTurn, text: str) -> AsyncIterator[str]:
        """A sentence of ours as the whole answer."""
        await state.prefill.stop()
        turn.plain = (Message("user", defuse(turn.text)),)
        return one(text)

    def _lacks(self, intent: Intent) -> tuple[str, ...]:
        """What is missing and the tool does not ask for by itself."""
        required = self._spec(intent.guesses[0].tool).parameters.get("required", ())
        return tuple(name for name in intent.missing if name in required)

    def _can_explain(self, intent: Intent, dialogue: Dialogue) -> bool:
        """Whether nobody else here could do it: tools of other servers may do what ours cannot."""
        return bool(intent.command) or intent.wants in dialogue.off or dialogue.tools <= self._toolbox.own

    def _order(self, parts: Sequence[Part], dialogue: Dialogue) -> Sequence[Part]:
        """The parts in the order in which they are told: what is missing is asked for last. None, where we cannot tell
        of all of them, or would ask two different things at once."""
        lacking = [part for part in parts if part.intent.guesses and self._lacks(part.intent)]
        acting = [guess for part in parts for guess in part.intent.guesses if self._waits(guess)]
        if lacking and acting:
            return ()
        if not all(part.intent.kind == "tool" or self._can_explain(part.intent, dialogue) for part in parts):
            return ()
        return [part for part in parts if part not in lacking] + lacking

    def _waits(self, guess: Guess) -> bool:
        return self._spec(guess.tool).risk not in (Risk.READ, Risk.OWN)

    async def _amend(
        self, state: OpenConversation, turn: RunningTurn, intent: Intent, words: str, before: str
    ) -> AsyncIterator[str]:
        """Take back what the turn ``before`` changed, and do it with the other value; where that is not the last thing
        that was changed here, or not clear, nothing."""
        guess = intent.guesses[0]
        change = await self._last_change(state, before)
        if change is None or UNDO not in self._toolbox.own or speaker_of(turn.source) != "person":
            return await self._say(state, turn, AMENDING)
        context = self._prompts.context(
            state.id, turn.progress.id, words, state.history, speaker=speaker_of(turn.source)
        )
        undone = await self._toolbox.run(
            ToolCall(f"{UNDO}-{turn.progress.id}", UNDO, {}),
            replace(context, tainted=False, recalled=False, basis=str(change.id)),
        )
        if not isinstance(undone, ToolResult) or not undone.ok:
            return await self._say(state, turn, AMENDING)
        # All of it was said, some of it in the turn before: "at seven" of the old time, "Thursday" of the new one.
        carried = " ".join([words, *guess.arguments.values()])
        return await self._act(state, turn, [Part(turn.text, intent)], carried, preface=TAKEN_BACK)

    async def _last_change(self, state: OpenConversation, turn: str) -> Change | None:
        """What this turn changed, where that is one thing and the last one in the conversation."""
        if self._changes is None:
            return None
        try:
            latest = await self._changes.latest(state.id, 2)
        except StorageError:
            logger.exception("what was changed cannot be read")
            return None
        mine = [change for change in latest if change.turn == turn]
        return latest[0] if len(mine) == 1 and mine[0] is latest[0] else None

    async def _act_all(
        self, state: OpenConversation, turn: RunningTurn, parts: Sequence[Part], dialogue: Dialogue
    ) -> AsyncIterator[str]:
        """Each of several wishes, one after the other, whatever becomes of the others."""
        cannot = [
            explain_command(part.intent.command, part.intent.wants, dialogue.off)
            if part.intent.command
            else explain_cannot(part.intent.wants, dialogue.off)
            for part in parts
            if part.intent.kind == "cannot"
        ]
        wanted = [part for part in parts if part.intent.kind == "tool"]
        done = [part for part in wanted if not self._lacks(part.intent)]
        question = None
        if (open_part := next((part for part in wanted if part not in done), None)) is not None:
            question = OpenQuestion(open_part.intent.guesses, self._lacks(open_part.intent))
        if not done:
            state.asked = question
            asked = [ask_missing(question.guesses[0].tool, question.missing)] if question is not None else []
            return await self._say(state, turn, " ".join([*cannot, *asked]))
        # What the household wrote down for these words counts as said with them.
        written = [value for part in done if part.intent.command for value in part.intent.guesses[0].arguments.values()]
        words = state.last_words = " ".join([turn.text, *written])
        return await self._act(state, turn, done, words, preface=" ".join(cannot), question=question)

    async def _act(
        self,
        state: OpenConversation,
        turn: RunningTurn,
        parts: Sequence[Part],
        words: str,
        *,
        preface: str = "",
        question: OpenQuestion | None = None,
    ) -> AsyncIterator[str]:
        """The calls through the toolbox, as any others; what they say is said as it is. ``words`` led to them, in this
        turn and in the one that it answers; ``preface`` is said before, and the ``question`` asked behind them."""
        await state.prefill.stop()
        selection = self._prompts.select_tools(await self._dialect.now_or_last())
        context = self._prompts.context(
            state.id, turn.progress.id, words, state.history, speaker=speaker_of(turn.source)
        )
        request = turn.request = self._prompts.begin(selection, turn.text, turn.progress, context, state.history)
        request.messages.append(Message("user", request_text(turn.text, [], "", [])))
        guesses = [part.intent.guesses[0] for part in parts]
        request.given = [
            ToolCall("", guess.tool, self._arguments(guess, part.words, all_of_them=bool(part.intent.command)))
            for part, guess in zip(parts, guesses, strict=True)
        ]
        request.as_worded = True
        request.preface = preface
        state.last_done = guesses
        return self._keep_question(state, request, guesses, question)

    async def _keep_question(
        self, state: OpenConversation, request: TurnRequest, guesses: Sequence[Guess], question: OpenQuestion | None
    ) -> AsyncIterator[str]:
        """The answer; where it asks for an argument, the next words may be that."""
        async with closing(self._loop.run(request)) as pieces:
            async for piece in pieces:
                yield piece
        if question is not None:
            asked = ask_missing(question.guesses[0].tool, question.missing)
            last = request.messages[-1]
            if last.role == "assistant":
                request.messages[-1] = Message("assistant", f"{last.content}\n{asked}")
            state.asked = question
            yield f"\n{asked}"
        elif request.asks is not None:
            at, name = request.asks
            state.asked = OpenQuestion((guesses[at],), (name,))

    def _arguments(self, guess: Guess, words: str, *, all_of_them: bool) -> dict[str, Any]:
        """The arguments in the types that the tool's schema has; ``all_of_them``: also those that it does not have, so
        that the tool says so."""
        properties: Mapping[str, Mapping[str, Any]] = self._spec(guess.tool).parameters.get("properties", {})
        arguments: dict[str, Any] = {
            name: int(value) if properties.get(name, {}).get("type") == "integer" and value.isdecimal() else value
            for name, value in guess.arguments.items()
            if all_of_them or name in properties
        }
        if (about := _ABOUT.get(guess.tool)) is not None and about in properties:
            arguments.setdefault(about, words)
        return arguments

    def _spec(self, tool: str) -> ToolSpec:
        """The tool as it is registered now."""
        return next(spec for spec in self._toolbox.specs if spec.name == tool)
