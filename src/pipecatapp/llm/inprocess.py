"""A language model inside this process with llama-cpp-python (extra ``llama-cpp``): no server, one context.

Conversations take turns; the evaluated prefix is kept from one request to the next, for whichever spoke last.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Literal

from pipecatapp.domain import ComponentHealth, Message, Usage
from pipecatapp.errors import (
    ConfigurationError,
    ContextOverflowError,
    MissingExtraError,
    ModelError,
    ModelNotReadyError,
    ModelUnreachableError,
    RequestRefusedError,
)
from pipecatapp.llm.engine import ModelFile
from pipecatapp.llm.gguf import read_head
from pipecatapp.llm.thoughts import opens_thought
from pipecatapp.machine import Machine, detect
from pipecatapp.ports import ChatChunk, ChatRequest, ModelProfile, PromptStyle, find_unfit

logger = logging.getLogger(__name__)

# Tokens evaluated between two looks at whether the request was cancelled.
STEP = 32
CONTEXT = 4096


class LlamaCppChatModel:
    """``ports.ChatModel`` over a ``llama_cpp.Llama``, which lives in one thread of its own.

    Args:
        models: the files to try, best first.
        prompt_style: ``auto`` takes ``compact`` for models whose name begins with ``starter``.
        machine: this PC, detected when not given.

    Raises:
        MissingExtraError: llama-cpp-python is not installed.
        ConfigurationError: there is no model to load.
    """

    def __init__(
        self,
        models: Sequence[ModelFile],
        *,
        prompt_style: Literal["auto", "full", "compact"] = "auto",
        machine: Machine | None = None,
    ) -> None:
        if find_spec("llama_cpp") is None:
            raise MissingExtraError("RUN_LOCAL_LLM", "llama-cpp")
        if not models:
            raise ConfigurationError("there is no model to load; run: pipecatapp models pull --for-this-pc")
        self._models = list(models)
        self._style = prompt_style
        self._machine = machine or detect()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama")
        self._loading: asyncio.Future[_Loaded] | None = None
        self._closing = threading.Event()

    async def aclose(self) -> None:
        """End what runs and free the model."""
        self._closing.set()
        await asyncio.to_thread(self._thread.shutdown, True, cancel_futures=True)

    async def profile(self) -> ModelProfile:
        """What is loaded; the first call starts the loading."""
        return (await self._loaded()).profile

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Generate piece by piece. Closing the iterator stops at the next token."""
        loaded = await self._loaded()
        chunks: asyncio.Queue[ChatChunk | Exception] = asyncio.Queue()
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            def give(item: ChatChunk | Exception) -> None:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(chunks.put_nowait, item)

            try:
                for chunk in loaded.generate(request, self._stopper(cancelled)):
                    give(chunk)
            except Exception as error:  # noqa: BLE001 - whatever it is, the consumer must hear of it
                give(error)

        self._submit(work)
        try:
            while True:
                item = await chunks.get()
                if isinstance(item, ModelError):
                    raise item
                if isinstance(item, Exception):
                    raise ModelUnreachableError(f"the model in this process failed: {item}") from item
                yield item
                if item.finish_reason:
                    return
        finally:
            cancelled.set()

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        """Evaluate the messages ahead of the request; a failure costs only the advantage."""
        cancelled = threading.Event()
        try:
            loaded = await self._loaded()
            work = self._submit(
                lambda: loaded.evaluate(loaded.prompt(messages, finished=False), self._stopper(cancelled))
            )
            return await asyncio.wrap_future(work)
        except ModelError as error:
            logger.debug("no prefill: %s", error)
            return Usage()
        finally:
            cancelled.set()

    async def health(self) -> ComponentHealth:
        """Whether the model is loaded."""
        try:
            profile = await self.profile()
        except ModelError as error:
            return ComponentHealth("llm", False, str(error))
        return ComponentHealth(
            "llm", True, f"{profile.name}, in this process, {profile.context_tokens} tokens of context"
        )

    async def _loaded(self) -> _Loaded:
        if self._loading is None:
            self._loading = asyncio.wrap_future(self._submit(self._load))
        if not self._loading.done():
            raise ModelNotReadyError(f"{self._models[0].alias} is being loaded into this process")
        try:
            return self._loading.result()
        except ConfigurationError as error:
            raise ModelUnreachableError(str(error)) from error

    def _load(self) -> _Loaded:
        reasons = []
        for model in self._models:
            try:
                read_head(model.path)
                return _Loaded(model, self._machine, self._style)
            except (ConfigurationError, ValueError, RuntimeError) as error:
                logger.error("%s cannot be loaded: %s", model.path, error)
                reasons.append(str(error))
        raise ConfigurationError(f"no model can be loaded: {'; '.join(reasons)}")

    def _stopper(self, cancelled: threading.Event) -> Callable[[], bool]:
        return lambda: cancelled.is_set() or self._closing.is_set()

    def _submit(self, work: Callable[[], Any]) -> Any:
        try:
            return self._thread.submit(work)
        except RuntimeError as error:
            raise ModelUnreachableError("the model in this process is closed") from error


class _Loaded:
    """The model and its one context; used by the model's own thread only, but for ``profile``."""

    def __init__(self, model: ModelFile, machine: Machine, style: Literal["auto", "full", "compact"]) -> None:
        import llama_cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        context = min(read_head(model.path).context_tokens, model.max_context or CONTEXT, CONTEXT)
        self._llama = llama_cpp.Llama(
            model_path=str(model.path), n_ctx=context, n_batch=STEP, n_threads=machine.cores, verbose=False
        )
        template = self._llama.metadata.get("tokenizer.chat_template")
        if not template:
            raise ConfigurationError(f"{model.path} has no chat template")
        self._format = Jinja2ChatFormatter(
            template, self._token(self._llama.token_eos()), self._token(self._llama.token_bos())
        )
        compact: PromptStyle = "compact" if model.alias.startswith("starter") else "full"
        asked = self._format(messages=[{"role": "user", "content": "Hello."}])
        self._begins_in_thought = opens_thought(str(asked.prompt))
        self.profile = ModelProfile(
            model.alias, context, compact if style == "auto" else style, thinks=self._begins_in_thought
        )

    def prompt(self, messages: Sequence[Message], *, finished: bool) -> list[int]:
        """The tokens of the messages; without the end of the last one when it is not finished."""
        known = [{"role": message.role, "content": message.content} for message in messages]
        text = str(self._format(messages=known).prompt)
        words = messages[-1].content.strip()
        if not finished and words in text:
            text = text[: text.rindex(words) + len(words)]
        tokens = list(self._llama.tokenize(text.encode(), add_bos=True, special=True))
        # Some templates write the first token themselves.
        return tokens[1:] if tokens[:2] == [self._llama.token_bos()] * 2 else tokens

    def evaluate(self, tokens: Sequence[int], stopped: Callable[[], bool]) -> Usage:
        """Bring the tokens into the cache, as far as ``stopped`` allows."""
        if len(tokens) >= self.profile.context_tokens:
            raise ContextOverflowError(f"{len(tokens)} tokens do not fit {self.profile.context_tokens} of context")
        cached = 0
        for token, kept in zip(tokens[:-1], self._llama._input_ids, strict=False):
            if token != kept:
                break
            cached += 1
        self._llama.n_tokens = cached
        for start in range(cached, len(tokens), STEP):
            if stopped():
                break
            self._llama.eval(tokens[start : start + STEP])
        return Usage(len(tokens), cached, 0)

    def generate(self, request: ChatRequest, stopped: Callable[[], bool]) -> Iterator[ChatChunk]:
        """The answer piece by piece; the last chunk has the usage."""
        from llama_cpp import LlamaGrammar

        tokens = self.prompt(request.messages, finished=True)
        usage = self.evaluate(tokens[:-1], stopped)
        if unfit := find_unfit(request.sampling, request.form, self.profile):
            raise RequestRefusedError(f"the model in this process does not take {unfit}")
        grammar = LlamaGrammar.from_string(request.grammar, verbose=False) if request.grammar else None
        count, reason, begins = 0, "stop", self._begins_in_thought
        if not stopped():
            for piece in self._llama.create_completion(
                list(tokens),
                max_tokens=request.max_tokens,
                **{"temperature": request.temperature, **request.sampling},
                grammar=grammar,
                stream=True,
            ):
                choice = piece["choices"][0]
                count += 1
                if choice["text"]:
                    yield ChatChunk(choice["text"], opens_thought=begins)
                    begins = False
                reason = choice["finish_reason"] or reason
                if stopped():
                    break
        counts = Usage(len(tokens), usage.cached_tokens, count)
        yield ChatChunk(finish_reason=reason, usage=counts)

    def _token(self, token: int) -> str:
        return self._llama.detokenize([token], special=True).decode("utf-8", "replace") if token >= 0 else ""
