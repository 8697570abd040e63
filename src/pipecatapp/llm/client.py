"""A chat model behind an OpenAI-compatible server; with llama-server it also keeps slots, prefills and constrains.

Which extras the server has is asked once (``GET /props``): grammars, slots and prefill without generation are
sent to llama-server only, because other servers refuse parameters that they do not know.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Literal

import httpx

from pipecatapp.domain import ComponentHealth, Message, Usage
from pipecatapp.errors import ModelError, ModelNotReadyError, ModelUnreachableError, RequestRefusedError
from pipecatapp.llm.slots import Slot, SlotTable
from pipecatapp.llm.status import EngineStatus
from pipecatapp.llm.thoughts import ThoughtFilter, Thoughts, close_thought, opens_thought, thinks_apart
from pipecatapp.llm.wire import completion_delta, delta, json_events, parse_object, raise_for_status, usage
from pipecatapp.ports import LLAMA_SAMPLING, SAMPLING, ChatChunk, ChatRequest, ModelProfile, PromptStyle, find_unfit
from pipecatapp.proxies import is_in_house

logger = logging.getLogger(__name__)

# What a server that does not tell its context is assumed to have.
UNKNOWN_CONTEXT = 4096
# Characters of a token, at most: what goes on behind so many of them for each token does not keep to max_tokens.
_LONGEST_TOKEN = 32

# Marks a place in a prompt; two invisible signs that nobody types.
_HERE = "\u2063\u2063"


class OpenAIChatModel:
    """``ports.ChatModel`` over HTTP. One instance serves all conversations.

    Args:
        base_url: with ``/v1``, e.g. ``http://127.0.0.1:8081/v1``.
        model: the name to ask for; empty: what the server has.
        api_key: bearer token, if the server wants one.
        connect_timeout_s: how long to wait for the connection.
        token_timeout_s: longest silence in the middle of an answer (llama-server pings while it evaluates).
        prompt_style: ``auto`` takes ``compact`` for models whose name begins with ``starter``.
        status: reads what the engine's supervisor says of itself, for the reason and progress while it is not up.
        transport: what carries the requests, in place of the network.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "",
        api_key: str = "",
        connect_timeout_s: float = 2.0,
        token_timeout_s: float = 60.0,
        prompt_style: Literal["auto", "full", "compact"] = "auto",
        status: Callable[[], EngineStatus | None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._model = model
        self._style = prompt_style
        self._status = status or (lambda: None)
        self._seen = False
        self._profile: ModelProfile | None = None
        self._thoughts = Thoughts(False)
        self._thoughts_of: dict[str, Thoughts] = {}  # of a server that was away, they are still known
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(token_timeout_s, connect=connect_timeout_s, pool=None),
            # A connection for each request: llama-server closes idle ones just when the next request may leave.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            # A proxy is for what leaves the house.
            trust_env=not is_in_house(base_url),
            transport=transport,
        )
        self._slots: SlotTable | None = None
        self._pid: int | None = None

    async def aclose(self) -> None:
        """Close all connections; running streams end with ModelUnreachableError."""
        await self._http.aclose()

    async def profile(self) -> ModelProfile:
        """What is loaded, asked once and again after the server was away."""
        status = self._status()
        if status is not None and status.pid != self._pid:
            self._pid = status.pid
            self.forget()
        if self._profile is None:
            with self._translated():
                self._profile = await self._ask_profile()
                self._seen = True
        return replace(self._profile, thinks=self._thoughts.seen)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Generate the assistant's next message piece by piece; closing the iterator cancels it at the server."""
        profile = await self.profile()
        finish: str | None = None
        counts = Usage()
        with self._translated():
            url, body = await self._asked(request, profile)
            filled_in = _is_filled_in(request)
            read = completion_delta if filled_in else delta
            marked = ThoughtFilter(self._thoughts, begun=filled_in)
            room = request.max_tokens * _LONGEST_TOKEN
            async with (
                self._slot(request.slot_key, request.messages) as slot,
                self._post(url, body | {"stream": True} | slot.parameters) as events,
            ):
                async for event in events:
                    counts = slot.charge(usage(event)) or counts
                    text, reason = read(event)
                    finish = reason or finish
                    chunk = marked.feed(text[:room], apart=thinks_apart(event))
                    room -= len(text)
                    if chunk is not None:
                        yield chunk
                    if room < 0:
                        finish = "length"  # a server that does not keep to max_tokens
                        break
            if (chunk := marked.finish(finish)) is not None:
                yield chunk
        if finish is None:
            self.forget()
            raise ModelUnreachableError("the model server broke off in the middle of its answer")
        yield ChatChunk(finish_reason=finish, usage=counts)

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        """Fill the server's prefix cache with these messages; a failure is logged and costs only the advantage."""
        try:
            profile = await self.profile()
            with self._translated():
                async with self._slot(slot_key, messages) as slot:
                    return await self._evaluate(messages, slot, profile)
        except ModelError as error:
            logger.debug("no prefill: %s", error)
            return Usage()

    async def health(self) -> ComponentHealth:
        """Whether the server answers and has its model loaded."""
        status = self._status()
        if status is not None and not status.ready:
            self.forget()
            return ComponentHealth("llm", False, status.reason, status.progress)
        try:
            with self._translated():
                if self._slots is None:
                    response = await self._http.get(f"{self._base}/models", timeout=5.0)
                else:
                    response = await self._http.get(f"{self._root}/health", timeout=5.0)
                raise_for_status(response.status_code, response.content)
            profile = await self.profile()
        except ModelError as error:
            return ComponentHealth("llm", False, str(error), getattr(error, "progress", None))
        return ComponentHealth("llm", True, f"{profile.name}, {profile.context_tokens} tokens of context")

    def forget(self) -> None:
        """Drop what is known of the server: it was away and may come back as another one."""
        self._profile = None
        self._slots = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the HTTP library's exceptions into ours, in the words of a person."""
        try:
            yield
        except ModelNotReadyError:
            self.forget()
            raise
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            self.forget()
            status = self._status()
            if status is not None and not status.ready:
                raise ModelNotReadyError(status.reason, status.progress) from error
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                if self._seen:
                    raise ModelUnreachableError("the model server is gone") from error
                raise ModelNotReadyError("the model server does not answer yet") from error
            if isinstance(error, httpx.TimeoutException):
                raise ModelUnreachableError("the model server fell silent") from error
            raise ModelUnreachableError(f"the model server's connection broke: {type(error).__name__}") from error

    def _body(self, messages: Sequence[Message], profile: ModelProfile) -> dict[str, Any]:
        return {
            "model": self._model or profile.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
        }

    async def _asked(self, request: ChatRequest, profile: ModelProfile) -> tuple[str, dict[str, Any]]:
        """Where a request goes, and as what."""
        if unfit := find_unfit(request.sampling, request.form, profile):
            raise RequestRefusedError(f"this model server does not take {unfit}")
        body: dict[str, Any] = {"temperature": request.temperature, **request.sampling}
        if request.form is not None and request.begun:
            raise RequestRefusedError("an answer of a given form cannot be gone on with")
        if profile.grammars and request.grammar:
            body["grammar"] = request.grammar
        if not _is_filled_in(request):
            body |= self._body(request.messages, profile)
            body |= {"max_tokens": request.max_tokens, "stream_options": {"include_usage": True}}
            return f"{self._base}/chat/completions", body
        # /v1/chat/completions leaves an answer at the end out, and with --skip-chat-parsing it does not keep to a form:
        # the template is filled in first, the answer behind it.
        filled = await self._http.post(f"{self._root}/apply-template", json=self._body(request.messages, profile))
        if filled.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED):
            raise RequestRefusedError("this model server fills in no templates")
        raise_for_status(filled.status_code, filled.content)
        prompt = str(parse_object(filled.content).get("prompt", ""))
        if request.begun_in_words or request.form is not None:
            prompt += close_thought(prompt)
        if request.form is not None:
            body["json_schema"] = dict(request.form)
        body |= {"prompt": prompt + request.begun, "n_predict": request.max_tokens, "cache_prompt": True}
        return f"{self._root}/completion", body

    async def _ask_profile(self) -> ModelProfile:
        response = await self._http.get(f"{self._root}/props")
        props = parse_object(response.content) if response.status_code == httpx.codes.OK else {}
        if "default_generation_settings" in props:
            self._slots = SlotTable(self._http, self._root, props)
            self._thoughts = Thoughts(await self._begins_in_thought(str(props.get("chat_template") or "")))
            context = props["default_generation_settings"].get("n_ctx")
            name = props.get("model_alias") or str(props.get("model_path", "")).rsplit("/", 1)[-1]
            return self._describe(str(name), context, grammars=True)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise_for_status(response.status_code, response.content)
        response = await self._http.get(f"{self._base}/models")
        raise_for_status(response.status_code, response.content)
        models = [m for m in parse_object(response.content).get("data") or [] if isinstance(m, dict)]
        found = next((m for m in models if m.get("id") == self._model), models[0] if models else {})
        meta = found.get("meta") or {}
        context = meta.get("n_ctx") or found.get("context_length") or found.get("max_model_len")
        name = str(self._model or found.get("id", ""))
        self._thoughts = self._thoughts_of.setdefault(name, Thoughts(name=name))
        return self._describe(name, context, grammars=False)

    async def _begins_in_thought(self, template: str) -> bool:
        """Whether llama-server's template ends a prompt with the marker that opens a thought."""
        if "think" not in template.lower() and "reasoning" not in template.lower():
            return False
        body = {"messages": [{"role": "user", "content": "Hello."}]}
        response = await self._http.post(f"{self._root}/apply-template", json=body)
        if response.status_code != httpx.codes.OK:
            return False
        return opens_thought(str(parse_object(response.content).get("prompt", "")))

    def _describe(self, name: str, context: object, *, grammars: bool) -> ModelProfile:
        style: PromptStyle = "compact" if name.lower().startswith("starter") else "full"
        if self._style != "auto":
            style = self._style
        tokens = context if isinstance(context, int) and context > 0 else UNKNOWN_CONTEXT
        sampling = LLAMA_SAMPLING if grammars else SAMPLING
        return ModelProfile(
            name or "unknown", tokens, style, grammars, continues=grammars, sampling=sampling, forms=grammars
        )

    @asynccontextmanager
    async def _slot(self, key: str, messages: Sequence[Message]) -> AsyncIterator[Slot]:
        if self._slots is None:
            yield Slot({})
            return
        async with self._slots.use(key, messages) as slot:
            yield slot

    async def _evaluate(self, messages: Sequence[Message], slot: Slot, profile: ModelProfile) -> Usage:
        body = self._body(messages, profile)
        counts = Usage()
        prompt = await self._unfinished_prompt(body) if self._slots is not None else ""
        if prompt:
            url, body = f"{self._root}/completion", {"prompt": prompt, "n_predict": 0, "cache_prompt": True}
        else:
            url, body = f"{self._base}/chat/completions", body | {"max_tokens": 1}
        async with self._post(url, body | {"stream": True} | slot.parameters) as events:
            async for event in events:
                delta(event)
                counts = slot.charge(usage(event)) or counts
        return counts

    async def _unfinished_prompt(self, body: Mapping[str, Any]) -> str:
        """The template applied to the messages and cut behind the last word; empty: not possible.

        After a finished message (not the user's) it is cut where the next request will begin.
        """
        messages = [dict(message) for message in body["messages"]]
        if messages[-1]["role"] != "user":
            # The server leaves an answer at the end out: it would be the model's to go on with.
            messages.append({"role": "user", "content": ""})
        messages[-1]["content"] = str(messages[-1]["content"]).rstrip() + _HERE
        response = await self._http.post(f"{self._root}/apply-template", json={**body, "messages": messages})
        if response.status_code != httpx.codes.OK:
            return ""
        prompt = str(parse_object(response.content).get("prompt", ""))
        return prompt.partition(_HERE)[0] if _HERE in prompt else ""

    @asynccontextmanager
    async def _post(self, url: str, body: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        async with self._http.stream("POST", url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise_for_status(response.status_code, await response.aread())
            yield json_events(response.aiter_bytes())


def _is_filled_in(request: ChatRequest) -> bool:
    """Whether we fill in the template ourselves: for what llama-server does behind a whole prompt alone."""
    return bool(request.begun) or request.form is not None
