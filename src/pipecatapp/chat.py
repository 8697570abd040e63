"""The language model as everybody asks it: a request, the pieces of its answer, what it is and what it can do.

A port like those of ``ports.py``, which hands these names on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pipecatapp.domain import ComponentHealth, Message, Usage

PromptStyle = Literal["full", "compact"]

# What every OpenAI-compatible server takes, and what llama-server takes besides.
SAMPLING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "seed"})
LLAMA_SAMPLING = SAMPLING | {
    "top_k", "min_p", "typical_p", "top_n_sigma", "repeat_penalty", "repeat_last_n", "xtc_probability", "xtc_threshold",
    "dynatemp_range", "dynatemp_exponent", "mirostat", "mirostat_tau", "mirostat_eta", "dry_multiplier", "dry_base",
    "dry_allowed_length", "dry_penalty_last_n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What a client of the API wants of its answer.

    ``max_tokens``: room for each message of the model, within the node's limit; None: that limit. ``sampling``: how the
    model picks its tokens, by the API's names (``LLAMA_SAMPLING``). ``form``: the JSON Schema of an answer that is JSON
    (``response_format``); None: words.
    """

    max_tokens: int | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    form: Mapping[str, Any] | None = None


AS_USUAL = AnswerOptions()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a chat model is asked. ``grammar`` is GBNF for what it writes (ignored where the engine cannot).

    ``slot_key`` names the conversation, so that an engine with several slots keeps each one's prefix cache.
    ``begun`` is the answer as far as it is there: another server wrote it before it broke off, or a client of the API
    gave it. The model writes what comes behind. ``begun_in_words``: no thought stands in front of it, so that one which
    the model's template opens is closed first.
    ``resume`` makes of the text so far the request that another model, which may want another prompt, goes on with;
    its ``begun`` is the beginning of that text that is kept. Without it all of it is. ``sampling`` and ``form`` are
    those of ``AnswerOptions``: a server that cannot do them refuses.
    """

    messages: Sequence[Message]
    max_tokens: int = 512
    temperature: float = 0.3
    grammar: str | None = None
    slot_key: str = ""
    begun: str = ""
    begun_in_words: bool = False
    resume: Callable[[str, ModelProfile], ChatRequest] | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    form: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """A piece of the answer. The last chunk has ``finish_reason`` and the ``usage``, its ``text`` may be empty.

    ``finish_reason`` is ``length`` where the room for the answer was too small. ``by`` names the expert that writes,
    where it is not the model that was asked. ``kept``: another server goes on with the answer, behind so many
    characters of it; what was beyond them is written again. ``opens_thought``: with this chunk the answer begins,
    inside of a thought that no marker in it opens.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    by: str = ""
    kept: int | None = None
    opens_thought: bool = False


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What the prompt builder must know of the model: tokens of context, and whether it wants the compact prompt
    that the starter model was trained on. ``continues``: it can go on behind a begun answer (``ChatRequest.begun``).
    ``thinks``: its answers hold thoughts, and need more room for it. ``sampling`` and ``forms``: what of
    ``AnswerOptions`` it can do."""

    name: str
    context_tokens: int
    prompt_style: PromptStyle = "full"
    grammars: bool = True
    continues: bool = False
    thinks: bool = False
    sampling: frozenset[str] = SAMPLING
    forms: bool = False

    @property
    def summarises(self) -> bool:
        """Whether it can be asked what of a turn is worth keeping."""
        return self.prompt_style == "full"


def find_unfit(sampling: Mapping[str, float], form: Mapping[str, Any] | None, profile: ModelProfile) -> str:
    """The first of these options that this model cannot do, by its name in the API; empty: it can do all."""
    if form is not None and not profile.forms:
        return "response_format"
    return next((name for name in sampling if name not in profile.sampling), "")


class ChatModel(Protocol):
    """A language model over messages.

    Raises ModelNotReadyError, ModelUnreachableError or ContextOverflowError (errors.py), from the first
    ``anext`` or in the middle of a stream. Cancelling the consumer cancels the request at the server.
    """

    async def profile(self) -> ModelProfile:
        """What is loaded. Raises ModelNotReadyError while nothing is."""

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Generate the assistant's next message piece by piece."""

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        """Evaluate the messages into the server's prefix cache and generate nothing.

        The last message may be unfinished: its end (end-of-message marker, generation prompt) is not evaluated.
        """

    async def health(self) -> ComponentHealth:
        """Whether it can answer now; cheap enough to ask every second."""
