"""How a model wants to be spoken to: chosen once from its profile, asked wherever models differ.

``FullDialect`` is for real models: persona, schemas, sampling, words of its own about a result. ``CompactDialect`` is
what the starter model was trained on: names only, always under a grammar, and results are said for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Protocol

from pipecatapp.domain import ApprovalRequest, ApprovalState, Expert, Fact, Message, ToolCall, ToolSpec, TurnRecord
from pipecatapp.languages import language
from pipecatapp.ports import ModelProfile
from pipecatapp.twin.speak.grammar import turn_grammar
from pipecatapp.twin.speak.protocol import (
    compact_system,
    defuse,
    full_system,
    settled_text,
    tool_call_text,
    tool_response_text,
)
from pipecatapp.twin.understand.memory_intents import match_intent
from pipecatapp.twin.understand.node_intents import match_node_intent

# What stands for a person's click, where the model expects words.
_SPOKEN_TOKENS = 512
_THOUGHT_TOKENS = 1536
_ANSWERS = {ApprovalState.APPROVED: "yes", ApprovalState.REFUSED: "no"}
# Groups of tools that came after the starter model's training: told of their names, it takes others for missing.
UNTRAINED = (
    "alarm.", "audio.", "calculator.", "calendar.", "list.", "nodes.", "reminder.", "say_again", "timer.", "undo",
    "units.", "what_can_you_do",
)  # fmt: skip


class Form(Enum):
    """What the model's next message may be: anything, a well-formed call or words, words only."""

    FREE = auto()
    CONSTRAINED = auto()
    WORDS = auto()


class Dialect(Protocol):
    """One way of speaking with a model.

    ``rewords_results``: the model speaks about a result itself, and may
    go on with another tool; otherwise the result is the answer. ``many_tools``: tools can be described to it with the
    request that they fit.
    """

    rewords_results: bool
    many_tools: bool

    @property
    def profile(self) -> ModelProfile:
        """The model."""

    @property
    def answer_tokens(self) -> int:
        """Room for one message that is heard, in tokens."""

    @property
    def most_tokens(self) -> int:
        """Room for one message of the model at most, in tokens: for programs, which do not mind long ones."""

    def known_tools(
        self, tools: Sequence[ToolSpec], own: Collection[str], off: Sequence[ToolSpec] = ()
    ) -> list[ToolSpec]:
        """Those of the tools that the model can be told of. ``own`` are the names of ours, ``off`` those of them that
        cannot work here."""

    def system(
        self, persona: str, tools: Sequence[ToolSpec], experts: Sequence[Expert], added: str = "", *, more_tools: bool
    ) -> str:
        """The front of every prompt; ``added`` stands behind the persona."""

    def understands(self, record: TurnRecord) -> bool:
        """Whether a turn of the history means anything to it."""

    def intent(self, words: str, tools: Collection[str], facts: Sequence[Fact]) -> ToolCall | None:
        """The call that the request asks for where the model need not be asked; None: it decides. ``tools`` are the
        names of all, also of those that are off."""

    def first_form(self, words: str) -> Form:
        """What its first message to this request may be."""

    def temperature(self, form: Form) -> float:
        """How freely it may write."""

    def grammar(self, form: Form, tools: Sequence[ToolSpec], experts: Sequence[str], words: str) -> str | None:
        """The GBNF of its next message; None: it writes as it likes."""

    def tool_response(self, text: str, *, untrusted: bool) -> str:
        """A tool's result as it is shown."""

    def decision(self, request: ApprovalRequest, shown: str, words: str) -> list[Message]:
        """What it is shown of a person's decision: ``words`` are what they said, ``shown`` is the tool's response."""


class FullDialect:
    """A real model."""

    rewords_results = True
    many_tools = True

    def __init__(self, profile: ModelProfile) -> None:
        self.profile = profile

    @property
    def answer_tokens(self) -> int:
        """Room for one message that is heard, in tokens; thoughts come on top."""
        thoughts = _THOUGHT_TOKENS if self.profile.thinks else 0
        return min(_SPOKEN_TOKENS + thoughts, self.most_tokens)

    @property
    def most_tokens(self) -> int:
        """A third of the context; half of it where it thinks."""
        return max(1, self.profile.context_tokens // (2 if self.profile.thinks else 3))

    def known_tools(
        self, tools: Sequence[ToolSpec], own: Collection[str], off: Sequence[ToolSpec] = ()
    ) -> list[ToolSpec]:
        """All of them."""
        return list(tools)

    def system(
        self, persona: str, tools: Sequence[ToolSpec], experts: Sequence[Expert], added: str = "", *, more_tools: bool
    ) -> str:
        """Persona, how to call a tool, the schemas."""
        front = "\n\n".join(part for part in (persona.strip(), added.strip()) if part)
        return full_system(front, tools, experts, more_tools=more_tools)

    def understands(self, record: TurnRecord) -> bool:
        """All."""
        return True

    def intent(self, words: str, tools: Collection[str], facts: Sequence[Fact]) -> ToolCall | None:
        """It decides for itself."""
        return None

    def first_form(self, words: str) -> Form:
        """Anything."""
        return Form.FREE

    def temperature(self, form: Form) -> float:
        """A little warmth where it speaks freely."""
        return 0.3 if form is Form.FREE else 0.0

    def grammar(self, form: Form, tools: Sequence[ToolSpec], experts: Sequence[str], words: str) -> str | None:
        """Only after a broken call: over a large vocabulary a grammar costs time at every token."""
        if not self.profile.grammars or form is Form.FREE:
            return None
        return turn_grammar(tools, experts, words) if form is Form.CONSTRAINED else turn_grammar([], [], words)

    def tool_response(self, text: str, *, untrusted: bool) -> str:
        """The result, marked where somebody else wrote it."""
        return tool_response_text(text, untrusted=untrusted)

    def decision(self, request: ApprovalRequest, shown: str, words: str) -> list[Message]:
        """One message: what was said, what was decided about which call, what came of it."""
        call = ToolCall(request.id, request.tool, request.arguments)
        return [Message("user", settled_text(call, f"{request.state} by {request.by}", shown, words))]


class CompactDialect:
    """The starter model."""

    rewords_results = False  # so small a model drops or invents words of a long result
    many_tools = False

    def __init__(self, profile: ModelProfile) -> None:
        self.profile = profile

    @property
    def answer_tokens(self) -> int:
        """Room for one message of the model, in tokens."""
        return self.most_tokens

    @property
    def most_tokens(self) -> int:
        """What it has learned to write is short."""
        return max(1, min(200, self.profile.context_tokens // 3))

    def known_tools(
        self, tools: Sequence[ToolSpec], own: Collection[str], off: Sequence[ToolSpec] = ()
    ) -> list[ToolSpec]:
        """It knows the tools by name, and only those that it was trained on. Those that are off too: without them it
        would take the next best one, and so it is told why they are off."""
        known = [*(tool for tool in tools if tool.name in own), *off]
        return [tool for tool in known if not tool.name.startswith(UNTRAINED)]

    def system(
        self, persona: str, tools: Sequence[ToolSpec], experts: Sequence[Expert], added: str = "", *, more_tools: bool
    ) -> str:
        """What exists now, by name."""
        return compact_system([tool.name for tool in tools], [expert.name for expert in experts])

    def understands(self, record: TurnRecord) -> bool:
        """Nothing of tools that came after its training: with such a turn in front of it, it loses its words."""
        return not any(call.name.startswith(UNTRAINED) for call in record.turn.tool_calls)

    def intent(self, words: str, tools: Collection[str], facts: Sequence[Fact]) -> ToolCall | None:
        """Where the words are plain: of remembering and forgetting, for it mistakes one for the other now and then, and
        of machines, whose tools it does not know."""
        return match_intent(words, tools, facts) or match_node_intent(words, tools)

    def first_form(self, words: str) -> Form:
        """Words, to a plain "yes, ..." that answers nothing: there is nothing in it to use a tool with."""
        answers = language().yes_or_no
        first = (words.split() or [""])[0]
        return Form.WORDS if answers(words) == answers(first) == "yes" else Form.FREE

    def temperature(self, form: Form) -> float:
        """None: it was trained to the letter."""
        return 0.0

    def grammar(self, form: Form, tools: Sequence[ToolSpec], experts: Sequence[str], words: str) -> str | None:
        """Always."""
        if not self.profile.grammars:
            return None
        return turn_grammar([], [], words) if form is Form.WORDS else turn_grammar(tools, experts, words)

    def tool_response(self, text: str, *, untrusted: bool) -> str:
        """It knows results only as they are, and can do nothing with them but say them."""
        return tool_response_text(text)

    def decision(self, request: ApprovalRequest, shown: str, words: str) -> list[Message]:
        """It knows results only behind their call."""
        said = defuse(words) or _ANSWERS.get(request.state, "(no answer)")
        call = tool_call_text(ToolCall(request.id, request.tool, request.arguments))
        return [Message("user", said), Message("assistant", call), Message("user", shown)]


def dialect_of(profile: ModelProfile) -> Dialect:
    """How to speak with this model."""
    return CompactDialect(profile) if profile.prompt_style == "compact" else FullDialect(profile)


def clip(text: str, dialect: Dialect) -> str:
    """A result that leaves room for everything else in the prompt (a token has about two characters or more)."""
    room = dialect.profile.context_tokens // 2
    if len(text) <= room:
        return text
    return f"{text[:room]}\n({len(text) - room} more characters are left out)"
