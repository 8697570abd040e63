"""The client against a real llama-server, by the server's own counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from pipecatapp.domain import Message, Usage
from pipecatapp.errors import ContextOverflowError, ModelUnreachableError
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor
from pipecatapp.ports import ChatRequest

pytestmark = pytest.mark.integration

SYSTEM = Message("system", "you are the one that the others are with and this is what they have by the way . " * 12)


async def ask(model: OpenAIChatModel, messages: list[Message], key: str, **options: object) -> tuple[str, Usage]:
    request = ChatRequest(messages, max_tokens=4, slot_key=key, **options)  # type: ignore[arg-type]
    chunks = [chunk async for chunk in model.stream(request)]
    assert chunks[-1].usage is not None
    return "".join(chunk.text for chunk in chunks), chunks[-1].usage


async def test_two_conversations_in_turn_evaluate_only_what_is_new(model: OpenAIChatModel) -> None:
    talks = {key: [SYSTEM] for key in ("kitchen", "hall")}
    evaluated = []
    for turn in range(4):
        for key, talk in talks.items():
            talk.append(Message("user", f"turn {turn} in the {key}"))
            _, usage = await ask(model, talk, key)
            evaluated.append((turn, usage.evaluated_tokens, usage.prompt_tokens))
            talk.append(Message("assistant", "it is by the one that was for you"))

    assert evaluated[0][1] == evaluated[0][2], "the very first request finds nothing"
    for turn, new, whole in evaluated[1:]:
        assert new < whole / 5, f"turn {turn}: {new} of {whole}"


async def test_more_conversations_than_slots_evaluate_the_system_message_once(model: OpenAIChatModel) -> None:
    usages = [(await ask(model, [SYSTEM, Message("user", f"hello from {n}")], f"talk {n}"))[1] for n in range(7)]

    assert usages[0].cached_tokens == 0
    for usage in usages[1:]:
        assert usage.evaluated_tokens < usage.prompt_tokens / 5


async def test_the_system_message_outlives_a_restart_of_the_engine(
    running: EngineSupervisor, model: OpenAIChatModel
) -> None:
    talk = [SYSTEM, Message("user", "hello")]
    await ask(model, talk, "kitchen")

    await running.stop()
    await running.start()
    async with asyncio.timeout(60):
        await running.wait_ready()
    _, usage = await ask(model, talk, "kitchen")

    assert usage.evaluated_tokens < usage.prompt_tokens / 5


async def test_prefill_while_listening_leaves_only_the_tail(model: OpenAIChatModel) -> None:
    talk = [SYSTEM, Message("user", "where is the one that you have")]
    await ask(model, talk, "kitchen")
    talk += [Message("assistant", "it is with you"), Message("user", "and what is it that they all have from")]

    first = await model.prefill([*talk[:-1], Message("user", "and what is it")], "kitchen")
    second = await model.prefill([*talk[:-1], Message("user", "and what is it that they all")], "kitchen")
    _, usage = await ask(model, talk, "kitchen")

    assert first.evaluated_tokens > 0
    assert second.evaluated_tokens < first.evaluated_tokens
    # Left to evaluate: two words, the end of the message and the beginning of the answer.
    assert usage.evaluated_tokens <= 35
    assert usage.prompt_tokens > 250


async def test_a_grammar_decides_what_can_be_said(model: OpenAIChatModel) -> None:
    for _ in range(3):
        text, _ = await ask(model, [Message("user", "hello")], "kitchen", grammar='root ::= "yes" | "no"')
        assert text in ("yes", "no")


async def test_a_bad_grammar_is_an_error_and_the_engine_goes_on(model: OpenAIChatModel) -> None:
    with pytest.raises(ModelUnreachableError, match="grammar"):
        await ask(model, [Message("user", "hello")], "kitchen", grammar="root ::= (((")

    await ask(model, [Message("user", "hello")], "kitchen")


async def test_a_prompt_that_does_not_fit_is_told(model: OpenAIChatModel) -> None:
    with pytest.raises(ContextOverflowError):
        await ask(model, [Message("user", "the " * 3000)], "kitchen")


async def test_cancelling_stops_the_generation_at_the_server(running: EngineSupervisor, model: OpenAIChatModel) -> None:
    request = ChatRequest(
        [Message("user", "go on and on")], max_tokens=1900, slot_key="kitchen", grammar='root ::= "a" root'
    )
    stream = model.stream(request)
    await anext(stream)
    assert await busy_slots(running) == 1

    await stream.aclose()  # type: ignore[attr-defined]

    async with asyncio.timeout(30):
        while await busy_slots(running):
            await asyncio.sleep(0.02)
    log = running.log_file.read_text()
    assert "cancel task" in log


async def busy_slots(running: EngineSupervisor) -> int:
    headers = {"Authorization": f"Bearer {running.api_key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
        slots = (await http.get(f"{running.base_url.removesuffix('/v1')}/slots")).json()
    return sum(slot["is_processing"] for slot in slots)


async def test_what_is_kept_of_the_prompts_is_private(running: EngineSupervisor, model: OpenAIChatModel) -> None:
    await ask(model, [SYSTEM, Message("user", "hello")], "kitchen")

    kept = Path(running.log_file.parent / "slots")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert len(list(kept.glob("*.prefix"))) == 1
