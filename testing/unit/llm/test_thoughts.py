"""Models whose answers begin inside of a thought: known from the template, or learned from the first answer."""

from __future__ import annotations

import httpx
import pytest

from pipecatapp.domain import Message
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.thoughts import ThoughtFilter, Thoughts, opens_thought
from pipecatapp.ports import ChatChunk, ChatRequest
from testing.unit.llm.server import DONE, PROPS, Server, event, word

pytestmark = pytest.mark.unit


async def answer(model: OpenAIChatModel, max_tokens: int = 512) -> list[ChatChunk]:
    request = ChatRequest([Message("user", "hello")], max_tokens=max_tokens)
    return [chunk async for chunk in model.stream(request) if chunk.text]


def pieces(chunks: list[ChatChunk]) -> list[tuple[str, bool]]:
    return [(chunk.text, chunk.opens_thought) for chunk in chunks]


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [("<|im_start|>assistant\n<think>\n", True), ("assistant\n<think>\n\n</think>\n\n", False), ("assistant\n", False)],
)
def test_a_template_that_opens_a_thought(prompt: str, opens: bool) -> None:
    assert opens_thought(prompt) is opens


async def test_llama_servers_template_tells_that_answers_begin_in_a_thought() -> None:
    server = Server()
    thinking = {**PROPS, "chat_template": "{{ '<think>' }}"}
    server.answers["/props"] = lambda _: httpx.Response(200, json=thinking)
    server.answers["/apply-template"] = lambda _: httpx.Response(200, json={"prompt": "assistant\n<think>\n"})
    server.stream(word("hm"), word("</think>Hello."), word("", "stop"), DONE)
    model = server.model()
    assert (await model.profile()).thinks
    assert pieces(await answer(model)) == [("hm", True), ("</think>Hello.", False)]


async def test_a_template_without_thoughts_costs_no_further_question() -> None:
    server = Server()
    server.stream(word("Hello."), word("", "stop"), DONE)
    assert pieces(await answer(server.model())) == [("Hello.", False)]
    assert server.asked("/apply-template") == []


async def test_of_another_server_the_first_answer_tells() -> None:
    server = Server(llama=False)
    model = server.model()
    server.stream(word("hm, "), word("hm</th"), word("ink>Hello."), word("", "stop"), DONE)
    assert pieces(await answer(model)) == [("hm, hm</think>Hello.", True)]
    server.stream(word("hm"), word("</think>"), word("Yes."), word("", "stop"), DONE)
    assert pieces(await answer(model)) == [("hm", True), ("</think>", False), ("Yes.", False)]
    assert (await model.profile()).thinks


async def test_a_server_that_writes_about_thoughts_does_not_think() -> None:
    server = Server(llama=False)
    server.stream(
        word("A thought ends with </think>"),
        word(", they say, `</think>` and"),
        word(" so on."),
        word("", "stop"),
        DONE,
    )
    model = server.model()
    assert pieces(await answer(model)) == [("A thought ends with </think>, they say, `</think>` and so on.", False)]
    assert not (await model.profile()).thinks


async def test_a_sentence_that_ends_with_the_marker_is_no_thought() -> None:
    server = Server(llama=False)
    server.stream(word("A thought ends with </think>"), word("", "stop"), DONE)
    model = server.model()
    assert pieces(await answer(model)) == [("A thought ends with </think>", False)]
    assert not (await model.profile()).thinks


async def test_an_answer_that_is_nothing_but_a_thought_tells_it_too() -> None:
    server = Server(llama=False)
    server.stream(word("hm, hm"), word("</think>"), word("", "stop"), DONE)
    assert pieces(await answer(server.model())) == [("hm, hm</think>", True)]


async def test_a_server_that_does_not_think_streams_from_its_second_answer_on() -> None:
    server = Server(llama=False)
    model = server.model()
    server.stream(word("Hel"), word("lo."), word("", "stop"), DONE)
    assert pieces(await answer(model)) == [("Hello.", False)]
    assert pieces(await answer(model)) == [("Hel", False), ("lo.", False)]
    assert not (await model.profile()).thinks


async def test_what_a_server_thinks_apart_is_not_the_answer() -> None:
    server = Server(llama=False)
    apart = event({"choices": [{"delta": {"reasoning_content": "hm"}}]})
    server.stream(apart, word("Hel"), word("lo."), word("", "stop"), DONE)
    model = server.model()
    assert pieces(await answer(model)) == [("Hel", False), ("lo.", False)]
    assert (await model.profile()).thinks


@pytest.mark.parametrize(("name", "opens"), [("deepseek-r1:8b", True), ("QwQ-32B", True), ("llama3.2", False)])
def test_an_answer_that_was_cut_off_is_judged_by_the_models_name(name: str, opens: bool) -> None:
    filtered = ThoughtFilter(Thoughts(name=name))
    assert filtered.feed("Okay, so") == ChatChunk()
    assert filtered.finish("length") == ChatChunk("Okay, so", opens_thought=opens)


async def test_a_server_that_ignores_max_tokens_is_cut_off() -> None:
    server = Server()
    server.stream(*[word("yes " * 250) for _ in range(1000)], word("", "stop"), DONE)
    chunks = await answer(server.model(), max_tokens=10)
    assert len("".join(chunk.text for chunk in chunks)) <= 320
    last = [chunk async for chunk in server.model().stream(ChatRequest([Message("user", "x")], max_tokens=10))][-1]
    assert last.finish_reason == "length"
