"""What a client of the OpenAI API asks for: read, or refused by the name of the field.

What would change the meaning of the answer is done or refused. Pictures and messages of tools in earlier turns become
text, so that a conversation which once had one goes on. Sampling parameters and ``response_format`` go to the model
server, where that takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipecatapp.domain import Message
from pipecatapp.json_bounds import find_excess
from pipecatapp.ports import LLAMA_SAMPLING, SAMPLING, AnswerOptions
from pipecatapp.web.errors import BadRequestError

MODEL = "pipecatapp"
_TEXT = frozenset({"text", "input_text", "output_text", "refusal"})
# What stands in an earlier turn where something else than text was.
_STAND_INS = {"image_url": "[a picture]", "input_image": "[a picture]", "input_audio": "[sound]", "file": "[a file]"}
# How llama-server and vLLM are told which form an answer must have.
_FORMS = (
    "grammar",
    "json_schema",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
)
# What else they are told of sampling, in values that are no numbers.
_SAMPLERS = ("samplers", "sampler_seq", "dry_sequence_breakers", "ignore_eos", "n_probs", "top_logprobs", "lora")
_SCHEMA_VALUES = 2_000
_LARGEST = 1e9
_NO_TOOLS = "the tools are those of this node, a client's are not supported: leave them out, or send tool_choice 'none'"


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="ignore")
    type: str
    text: str | None = None
    refusal: str | None = None


class Function(BaseModel):
    """The function that a call names."""

    model_config = ConfigDict(extra="ignore")
    name: str = ""
    arguments: str = ""


class ToolCall(BaseModel):
    """A call that a client's model made earlier."""

    model_config = ConfigDict(extra="ignore")
    id: str = ""
    function: Function = Field(default_factory=Function)


class ChatMessage(BaseModel):
    """One message as clients send it."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class StreamOptions(BaseModel):
    """Whether the last chunk tells the usage."""

    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class ChatCompletionRequest(BaseModel):
    """The fields that matter here; of the others those of ``_FORMS`` and ``_SAMPLERS`` are refused, sampling parameters
    go on to llama-server, the rest is about something else than the answer."""

    model_config = ConfigDict(extra="allow")
    model: str = MODEL
    messages: list[ChatMessage] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    modalities: list[str] | None = None
    audio: Any = None
    logprobs: bool | None = None
    logit_bias: dict[str, Any] | None = None
    web_search_options: Any = None

    @property
    def most_tokens(self) -> int | None:
        """Tokens that the answer may have; None: as many as this node gives."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> list[str]:
        """The texts that end the answer."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in given if stop]


def unknown_model(name: str, names: Sequence[str]) -> BadRequestError:
    """There is no such model."""
    return BadRequestError(f"no model {name!r} here; there is: {', '.join(names)}", "model", 404, "model_not_found")


def read_messages(body: ChatCompletionRequest, models: Sequence[str]) -> list[Message]:
    """The client's messages as the brain's; the last one is a request, or the beginning of an answer to one.

    Raises:
        BadRequestError: the request wants something that is not done here; names the field.
    """
    if body.model not in models:
        raise unknown_model(body.model, models)
    _refuse_what_is_not_done(body)
    if not body.messages:
        raise BadRequestError("messages is empty: send at least one message with role 'user'", "messages")
    *earlier, last = body.messages
    where = f"messages.{len(earlier)}"
    if last.role in ("tool", "function"):
        raise BadRequestError(f"the last message has role {last.role!r}: {_NO_TOOLS}", f"{where}.role")
    calls = {call.id: call.function.name for message in earlier for call in message.tool_calls or () if call.id}
    messages: list[Message] = []
    for index, message in enumerate(earlier):
        _add(messages, _role_of(message), _whole(_tell(message, calls), f"messages.{index}.content"))
    text = _whole(_read_last(last, where), f"{where}.content")
    if last.role not in ("user", "assistant") or not text.strip():
        raise BadRequestError(
            "the last message must have role 'user', or 'assistant' with the beginning of the answer, and some text",
            "messages",
        )
    if last.role == "user":
        messages.append(Message("user", text.strip()))
        return messages
    if last.tool_calls:
        raise BadRequestError(f"the last message calls tools: {_NO_TOOLS}", f"{where}.tool_calls")
    _add(messages, "assistant", text)  # as it is: the answer goes on behind its last character
    before = [message.role for message in messages if message.role != "system"]
    if before[-2:] != ["user", "assistant"]:
        raise BadRequestError("the beginning of an answer needs the 'user' message that it answers", "messages")
    return messages


def read_options(body: ChatCompletionRequest) -> AnswerOptions:
    """How the client wants its answer.

    Raises:
        BadRequestError: an option is none; names the field.
    """
    given = {**body.model_dump(include=set(SAMPLING), exclude_none=True)}
    for name, value in (body.model_extra or {}).items():
        if name in LLAMA_SAMPLING and value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
                raise BadRequestError(f"{name} must be a number", name)
            given[name] = value
    return AnswerOptions(body.most_tokens, given, _read_form(body.response_format))


def _read_form(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON Schema of the answer; None: words."""
    kind = (given or {}).get("type", "text")
    if given is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        raise BadRequestError(f"response_format {kind!r} is not supported", "response_format")
    asked = given.get("json_schema")
    schema = asked.get("schema") if isinstance(asked, dict) else None
    if not isinstance(schema, dict):
        raise BadRequestError("response_format.json_schema has no schema", "response_format")
    if too_much := find_excess(schema, values=_SCHEMA_VALUES):
        raise BadRequestError(f"the schema is {too_much}", "response_format")
    return schema


def _refuse_what_is_not_done(body: ChatCompletionRequest) -> None:
    if body.n not in (None, 1):
        raise BadRequestError("only n=1 is supported", "n")
    for field, offered, choice in (
        ("tools", body.tools, body.tool_choice),
        ("functions", body.functions, body.function_call),
    ):
        if offered and choice != "none":
            raise BadRequestError(_NO_TOOLS, field)
    if body.tool_choice not in (None, "none", "auto"):
        raise BadRequestError("the agent decides itself whether it uses a tool: leave tool_choice out", "tool_choice")
    if body.audio is not None or set(body.modalities or ()) - {"text"}:
        raise BadRequestError("the answer is text: leave audio and modalities out", "modalities")
    if body.logprobs:
        raise BadRequestError("logprobs are not supported", "logprobs")
    if body.logit_bias:
        raise BadRequestError("logit_bias is not supported", "logit_bias")
    if body.web_search_options is not None:
        raise BadRequestError("web_search_options are not supported", "web_search_options")
    for field in _FORMS:
        if (body.model_extra or {}).get(field):
            raise BadRequestError(f"{field} is not supported: send a response_format", field)
    for field in _SAMPLERS:
        if (body.model_extra or {}).get(field):
            raise BadRequestError(f"{field} is not supported", field)


def _role_of(message: ChatMessage) -> Literal["system", "user", "assistant"]:
    """Whose words an earlier message counts as. What a tool returned is none of the person's, and no instruction."""
    if message.role == "user":
        return "user"
    return "system" if message.role in ("system", "developer") else "assistant"


def _add(messages: list[Message], role: Literal["system", "user", "assistant"], text: str) -> None:
    """Put a text behind the others; what one side said in pieces becomes one message, but for instructions."""
    if not text:
        return
    if messages and messages[-1].role == role != "system":
        messages[-1] = Message(role, f"{messages[-1].content}\n{text}")
    else:
        messages.append(Message(role, text))


def _tell(message: ChatMessage, calls: dict[str, str]) -> str:
    """An earlier message in words."""
    if message.content is None or isinstance(message.content, str):
        text = (message.content or "").strip()
    else:
        pieces = [_text_of(part) if part.type in _TEXT else _stand_in(part) for part in message.content]
        text = "\n".join(piece for piece in pieces if piece).strip()
    if message.role in ("tool", "function"):
        name = calls.get(message.tool_call_id or "") or message.name or "a tool"
        return f"[{name} returned: {text}]"
    called = [f"[called {call.function.name} with {call.function.arguments}]" for call in message.tool_calls or ()]
    return "\n".join([text, *called] if text else called)


def _read_last(message: ChatMessage, where: str) -> str:
    """The words of the last message. Nothing is left out of it: the answer would be about something else."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type not in _TEXT:
            raise BadRequestError(f"a part of type {part.type!r} cannot be read: send text", f"{where}.content")
    return "\n".join(map(_text_of, message.content))


def _text_of(part: Part) -> str:
    return part.text or part.refusal or ""


def _stand_in(part: Part) -> str:
    return _STAND_INS.get(part.type, "[something that is no text]")


def _whole(text: str, param: str) -> str:
    if not text.isascii() and text != text.encode("utf-8", "replace").decode("utf-8"):
        raise BadRequestError("the text holds half of a character", param)
    return text
