"""What the client makes of servers: good ones, half ones and broken ones."""

from __future__ import annotations

import json
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecatapp.domain import Message, Usage
from pipecatapp.errors import (
    ContextOverflowError,
    ModelError,
    ModelNotReadyError,
    ModelUnreachableError,
    RequestRefusedError,
)
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.status import EngineStatus
from pipecatapp.ports import ChatChunk, ChatRequest
from testing.unit.llm.server import COUNTS, DONE, PROPS, Pieces, Server, event, word

pytestmark = pytest.mark.unit

HELLO = [Message("system", "be kind"), Message("user", "hello there")]


async def answer(model: OpenAIChatModel, **options: object) -> list[ChatChunk]:
    return [chunk async for chunk in model.stream(ChatRequest(HELLO, **options))]  # type: ignore[arg-type]


def text(chunks: list[ChatChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_pieces_arrive_in_order_and_the_last_one_has_the_servers_own_counts() -> None:
    server = Server()
    server.stream(word("Hel"), word("lo"), word("", "stop"), COUNTS, DONE)

    chunks = await answer(server.model())

    assert [chunk.text for chunk in chunks] == ["Hel", "lo", ""]
    assert chunks[-1] == ChatChunk("", "stop", Usage(30, 20, 4))


async def test_llama_server_gets_the_grammar_and_the_conversations_slot() -> None:
    server = Server()
    server.stream(word("x", "stop"), COUNTS)

    await answer(server.model(), grammar='root ::= "x"', slot_key="kitchen", max_tokens=7)

    body = server.asked("/v1/chat/completions")[0]
    assert (body["grammar"], body["id_slot"], body["max_tokens"], body["model"]) == ('root ::= "x"', 0, 7, "starter")


async def test_other_servers_get_standard_parameters_only() -> None:
    server = Server(llama=False)
    server.stream(word("x", "stop"), event({"usage": {"prompt_tokens": 5, "completion_tokens": 1}}), DONE)

    chunks = await answer(server.model(), grammar='root ::= "x"', slot_key="kitchen")

    assert set(server.asked("/v1/chat/completions")[0]) == {
        "model", "messages", "max_tokens", "temperature", "stream", "stream_options",
    }  # fmt: skip
    assert chunks[-1].usage == Usage(5, 0, 1)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=12))
async def test_an_answer_reads_the_same_however_the_network_cuts_it(cuts: list[int]) -> None:
    body = b": ping\n\n" + word("Grüße, ") + word("日本") + word("", "stop") + COUNTS + DONE
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    server = Server()
    server.stream(*(body[a:b] for a, b in pairwise(edges)))

    chunks = await answer(server.model())

    assert text(chunks) == "Grüße, 日本"
    assert chunks[-1].usage == Usage(30, 20, 4)


@pytest.mark.parametrize(
    "pieces",
    [
        (word("Hel"),),
        (word("Hel"), DONE),
        (word("Hel"), b"data: {half\n\n"),
        (word("Hel"), b"data: [1]\n\n"),
        (word("Hel"), event({"choices": ["x"]})),
        (word("Hel"), httpx.ReadTimeout("silence")),
        (word("Hel"), httpx.ReadError("reset")),
        (word("Hel"), httpx.RemoteProtocolError("closed")),
        (word("Hel"), b"data: " + b"x" * 1_100_000 + b"\n\n"),
    ],
    ids=["cut", "no finish", "half json", "no object", "odd choice", "silence", "reset", "closed", "endless line"],
)
async def test_what_came_before_the_break_is_kept_and_the_break_is_told(pieces: tuple[bytes | Exception, ...]) -> None:
    server = Server()
    server.stream(*pieces)
    stream = server.model().stream(ChatRequest(HELLO))

    assert (await anext(stream)).text == "Hel"
    with pytest.raises(ModelUnreachableError):
        await anext(stream)


@pytest.mark.parametrize(
    ("code", "error", "expected"),
    [
        (503, {"message": "Loading model", "type": "unavailable_error", "code": 503}, ModelNotReadyError),
        (400, {"message": "too long", "type": "exceed_context_size_error"}, ContextOverflowError),
        (400, {"message": "maximum context", "code": "context_length_exceeded"}, ContextOverflowError),
        (400, {"message": "bad grammar", "type": "invalid_request_error"}, RequestRefusedError),
        (422, {"message": "unknown field"}, RequestRefusedError),
        (401, {"message": "Invalid API Key"}, ModelUnreachableError),
        (500, "just text", ModelUnreachableError),
    ],
)
async def test_a_refusal_becomes_the_error_that_it_means(code: int, error: object, expected: type[ModelError]) -> None:
    server = Server()
    server.answers["/v1/chat/completions"] = lambda request: httpx.Response(code, json={"error": error})

    with pytest.raises(expected):
        await answer(server.model())


async def test_llama_server_goes_on_behind_a_begun_answer() -> None:
    server = Server()
    end = event({"content": "", "stop": True, "stop_type": "eos", "timings": {"cache_n": 5, "prompt_n": 2}})
    pieces = [event({"content": " the", "stop": False}), event({"content": " pot.", "stop": False}), end]
    server.answers["/completion"] = lambda request: httpx.Response(200, stream=Pieces(pieces))
    model = server.model()
    assert (await model.profile()).continues
    chunks = [c async for c in model.stream(ChatRequest(HELLO, begun="It is under", grammar="root ::= x"))]
    assert "".join(chunk.text for chunk in chunks) == " the pot."
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].usage == Usage(7, 5, 0)
    (asked,) = server.asked("/completion")
    assert asked["prompt"].endswith("<assistant>It is under")
    assert asked["grammar"] == "root ::= x"


@pytest.mark.parametrize(("opening", "closing"), [("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("", "")])
async def test_words_that_a_client_began_stand_behind_the_thought_that_the_template_opens(
    opening: str, closing: str
) -> None:
    server = Server()
    server.answers["/apply-template"] = lambda request: httpx.Response(200, json={"prompt": f"<assistant>{opening}\n"})
    end = event({"content": " B", "stop": True, "stop_type": "eos"})
    server.answers["/completion"] = lambda request: httpx.Response(200, stream=Pieces([end]))
    request = ChatRequest(HELLO, begun="It is", begun_in_words=True)
    assert "".join([chunk.text async for chunk in server.model().stream(request)]) == " B"
    (asked,) = server.asked("/completion")
    lead = f"\n{closing}\n\n" if closing else ""
    assert asked["prompt"] == f"<assistant>{opening}\n{lead}It is"


async def test_a_continuation_that_breaks_off_is_told_too() -> None:
    server = Server()
    pieces = [event({"content": " the", "stop": False})]
    server.answers["/completion"] = lambda request: httpx.Response(200, stream=Pieces(pieces))
    with pytest.raises(ModelUnreachableError, match="broke off"):
        [c async for c in server.model().stream(ChatRequest(HELLO, begun="It is under"))]


async def test_an_old_llama_server_that_fills_in_no_templates_refuses_to_go_on() -> None:
    server = Server()
    server.answers["/apply-template"] = lambda request: httpx.Response(404)
    with pytest.raises(RequestRefusedError, match="no templates"):
        [c async for c in server.model().stream(ChatRequest(HELLO, begun="It is under"))]


async def test_another_program_at_that_address_is_no_model_server() -> None:
    server = Server()
    server.answers["/v1/chat/completions"] = lambda request: httpx.Response(404, text="<html>not here</html>")
    with pytest.raises(ModelUnreachableError) as caught:
        await answer(server.model())
    assert not isinstance(caught.value, RequestRefusedError)


async def test_other_servers_do_not_go_on() -> None:
    assert not (await Server(llama=False).model().profile()).continues


async def test_an_error_in_the_middle_of_a_stream_is_raised() -> None:
    server = Server()
    server.stream(word("a"), b'error: {"code":500,"message":"out of memory","type":"server_error"}\n\n')

    with pytest.raises(ModelUnreachableError, match="out of memory"):
        await answer(server.model())


async def test_a_refused_key_says_which_setting_to_set() -> None:
    server = Server()
    server.answers["/v1/chat/completions"] = lambda request: httpx.Response(401, json={"error": {"message": "no"}})

    with pytest.raises(ModelUnreachableError, match="LLM_API_KEY"):
        await answer(server.model())


async def test_closing_the_iterator_closes_the_request_at_the_server() -> None:
    server = Server()
    server.stream(word("one "), word("two "), word("three", "stop"))
    stream = server.model().stream(ChatRequest(HELLO))

    assert (await anext(stream)).text == "one "
    await stream.aclose()  # type: ignore[attr-defined]

    assert server.streams[0].closed


async def test_before_its_first_answer_a_server_is_not_ready_and_after_it_gone() -> None:
    server = Server()
    server.answers["/props"] = lambda request: (_ for _ in ()).throw(httpx.ConnectError("refused"))
    model = server.model()
    with pytest.raises(ModelNotReadyError):
        await model.profile()

    del server.answers["/props"]
    await model.profile()
    server.answers["/v1/chat/completions"] = lambda request: (_ for _ in ()).throw(httpx.ConnectError("refused"))
    with pytest.raises(ModelUnreachableError):
        await answer(model)


async def test_the_supervisors_reason_and_progress_stand_for_an_engine_that_is_not_up() -> None:
    status = EngineStatus("preparing", "building an engine", 0.4)
    server = Server()
    server.answers["/props"] = lambda request: (_ for _ in ()).throw(httpx.ConnectError("refused"))
    model = server.model(status=lambda: status)

    health = await model.health()
    with pytest.raises(ModelNotReadyError) as caught:
        await model.profile()

    assert (health.ok, health.reason, health.progress) == (False, "building an engine", 0.4)
    assert caught.value.progress == 0.4


async def test_another_engine_process_is_asked_anew_what_it_has_loaded() -> None:
    statuses = [EngineStatus("ready", pid=1), EngineStatus("ready", pid=1), EngineStatus("ready", pid=2)]
    server = Server()
    model = server.model(status=lambda: statuses[0])
    first = await model.profile()
    server.answers["/props"] = lambda request: httpx.Response(200, json={**PROPS, "model_alias": "qwen3-4b"})

    same = await model.profile()
    statuses.pop(0), statuses.pop(0)
    other = await model.profile()

    assert (first.name, same.name, other.name) == ("starter", "starter", "qwen3-4b")
    assert (first.prompt_style, other.prompt_style) == ("compact", "full")


async def test_the_profile_of_a_plain_server_comes_from_its_list_of_models() -> None:
    profile = await Server(llama=False).model().profile()

    assert (profile.name, profile.context_tokens, profile.prompt_style, profile.grammars) == (
        "gpt-tiny",
        1000,
        "full",
        False,
    )


async def test_prefill_evaluates_up_to_the_last_word_and_generates_nothing() -> None:
    server = Server()

    usage = await server.model().prefill(HELLO, "kitchen")

    body = server.asked("/completion")[0]
    assert body["prompt"] == "<system>be kind</><user>hello there"
    assert (body["n_predict"], body["id_slot"]) == (0, 0)
    assert usage == Usage(10, 3, 0)


async def test_prefill_on_a_plain_server_asks_for_one_token() -> None:
    server = Server(llama=False)
    server.stream(word("x", "length"), event({"usage": {"prompt_tokens": 9, "completion_tokens": 1}}))

    usage = await server.model().prefill(HELLO)

    assert server.asked("/v1/chat/completions")[0]["max_tokens"] == 1
    assert usage == Usage(9, 0, 1)


@pytest.mark.parametrize("path", ["/props", "/apply-template", "/completion"])
async def test_a_prefill_that_fails_never_breaks_the_turn(path: str) -> None:
    server = Server()
    server.answers[path] = lambda request: httpx.Response(500, json={"error": {"message": "no"}})
    server.answers["/v1/chat/completions"] = server.answers[path]
    server.answers["/v1/models"] = server.answers[path]

    assert await server.model().prefill(HELLO) == Usage()


async def test_health_is_good_only_when_the_server_says_so() -> None:
    server = Server()
    model = server.model()
    assert (await model.health()).ok

    server.answers["/health"] = lambda request: httpx.Response(
        503, content=json.dumps({"error": {"message": "Loading model", "type": "unavailable_error"}})
    )
    health = await model.health()

    assert not health.ok
    assert "Loading model" in health.reason


async def test_a_body_that_is_no_json_is_an_error_and_no_crash() -> None:
    server = Server(llama=False)
    server.answers["/v1/models"] = lambda request: httpx.Response(200, stream=Pieces([b"<html>"]))

    with pytest.raises(ModelUnreachableError, match="not JSON"):
        await server.model().profile()


async def test_signs_that_end_a_line_elsewhere_do_not_end_an_event() -> None:
    server = Server()
    said = "one\u2028two\u0085three\x0bfour"
    events = b"".join((raw(said), word("", "stop"), COUNTS, DONE))

    server.stream(*(events[at : at + 3] for at in range(0, len(events), 3)))

    assert text(await answer(server.model())) == said


async def test_halves_of_a_character_become_text_that_can_be_sent_on() -> None:
    server = Server()
    server.stream(word("a \ud83d"), word("\ude00 b"), word("", "stop"), COUNTS, DONE)
    assert text(await answer(server.model())).encode() == b"a ?? b"


def raw(words: str) -> bytes:
    """An event as llama-server writes it: UTF-8, only what JSON must escape is escaped."""
    return f"data: {json.dumps({'choices': [{'delta': {'content': words}}]}, ensure_ascii=False)}\r\n\r\n".encode()
