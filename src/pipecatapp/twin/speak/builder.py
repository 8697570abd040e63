"""Puts a request's prompt together out of what there is: persona, tools, experts, history, what was found for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pipecatapp.domain import Message, Speaker, ToolSpec
from pipecatapp.ports import ToolChooser, ToolContext
from pipecatapp.twin.act.tool_selection import ToolSelection
from pipecatapp.twin.act.toolbox import Toolbox
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.dialect import Dialect
from pipecatapp.twin.speak.protocol import observation_text, recalls
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.understand.routing import ROUTE, Routing, route_spec

# Conversations whose time zone is known.
_ZONES = 200


class PromptBuilder:
    """The prompts of all conversations.

    Args:
        persona: the text in front of everything, asked at every turn.
        toolbox: the tools that exist now.
        routing: the experts that exist now.
        chooser: finds the tools that fit a request; None: the model is told of all every time.
        observe: what the camera sees now, in a sentence; empty where there is nothing to say.
        decided: the names of the tools that are decided before a model is asked: a real one, which would only speak, is
            not told of them.
    """

    def __init__(
        self,
        persona: Callable[[], str],
        toolbox: Toolbox,
        routing: Routing,
        chooser: ToolChooser | None,
        observe: Callable[[], str],
        decided: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.observe = observe
        self._persona = persona
        self._toolbox = toolbox
        self._routing = routing
        self._chooser = chooser
        self._decided = decided
        self._zones: dict[str, str] = {}

    @property
    def tools(self) -> list[ToolSpec]:
        """The tools as the model is told of them now."""
        experts = self._routing.experts()
        specs = self._toolbox.specs + ([route_spec(experts)] if experts else [])
        return sorted(specs, key=lambda spec: spec.name)

    def select_tools(self, dialect: Dialect) -> ToolSelection:
        """Which of the tools stand in every prompt of this model."""
        decided = self._decided() if dialect.rewords_results else ()
        told = [tool for tool in self.tools if tool.name not in decided]
        return ToolSelection(told, self._toolbox.own | {ROUTE}, self._chooser, dialect, self._toolbox.off_specs)

    async def new_tools(self, selection: ToolSelection, words: str, history: Sequence[Message]) -> list[ToolSpec]:
        """The tools that fit these words and that the model does not see yet."""
        seen = {tool.name for tool in selection.shown(history)}
        return [tool for tool in await selection.choose(words) if tool.name not in seen]

    def system(self, selection: ToolSelection, added: str = "") -> Message:
        """The front of every prompt: the same text as long as persona, tools and experts stay."""
        front = selection.dialect.system(
            self._persona(), selection.fixed, self._routing.experts(), added, more_tools=selection.many
        )
        return Message("system", front)

    def news(self, told: str) -> str:
        """What the camera sees, unless it is what the model was told last: an old PC reads every word again."""
        now = self.observe()
        return "" if observation_text(now) == observation_text(told) else now

    def set_zone(self, conversation: str, zone: str) -> None:
        """The time zone of the device that this conversation is held on, as it was told last; empty: not known."""
        self._zones.pop(conversation, None)
        if zone:
            self._zones[conversation] = zone
        if len(self._zones) > _ZONES:
            del self._zones[next(iter(self._zones))]

    def context(self, conversation: str, turn: str, words: str, history: History, *, speaker: Speaker) -> ToolContext:
        """Who asks, and what stands in the prompt already."""
        names = {call.name for record in history.turns for call in record.turn.tool_calls}
        return ToolContext(
            conversation,
            turn,
            words,
            speaker,
            tainted=any(self._toolbox.taints(name) for name in names if name != ROUTE),
            # The descriptions of other servers' tools are other people's text too.
            recalled=any(tool.untrusted and tool.name not in self._toolbox.own for tool in self._toolbox.specs)
            or any(recalls(message.content) for message in history.messages() if message.role == "user"),
            zone=self._zones.get(conversation, ""),
        )

    def begin(
        self,
        selection: ToolSelection,
        words: str,
        progress: TurnProgress,
        context: ToolContext,
        history: History,
        added: str = "",
    ) -> TurnRequest:
        """A request at its beginning, without its own message; ``added`` stands behind the persona."""
        return TurnRequest(
            words=words,
            context=context,
            dialect=selection.dialect,
            system=self.system(selection, added),
            system_for=lambda dialect: self.system(self.select_tools(dialect), added),
            history=history,
            tools=[*selection.fixed, *selection.shown(history.messages())],
            schemas=self._toolbox.schemas | ({ROUTE: {}} if self._routing.experts() else {}),
            experts=self._routing.experts(),
            progress=progress,
            messages=[],
            max_tokens=selection.dialect.answer_tokens,
        )
