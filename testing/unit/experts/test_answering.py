"""An answer that breaks off goes on elsewhere: nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from pipecatapp.domain import Message
from pipecatapp.errors import (
    ContextOverflowError,
    ExpertBusyError,
    ModelNotReadyError,
    ModelUnreachableError,
    RequestRefusedError,
)
from pipecatapp.experts.answering import Answering
from pipecatapp.experts.overlap import GO_ON
from pipecatapp.experts.pool import Pool
from pipecatapp.ports import ChatChunk, ChatRequest, ModelProfile
from testing.fakes.chat_model import Gate
from testing.fakes.experts import BEGINS_ANEW, ScriptedInstance

pytestmark = pytest.mark.unit

WHOLE = "The spare key lies under the blue pot."
REQUEST = ChatRequest([Message("system", "You know things."), Message("user", "Where is the key?")], slot_key="c")
GONE = ModelUnreachableError("the model server is gone")


def pool_of(name: str, *instances: ScriptedInstance, queue: int = 2) -> Pool:
    pool = Pool(name, queue)
    pool.set(instances)
    return pool


async def answered(pools: Sequence[Pool], request: ChatRequest = REQUEST, wait_s: float = 0.3) -> list[ChatChunk]:
    async with aclosing(Answering(wait_s).stream(lambda: pools, request)) as chunks:
        return [chunk async for chunk in chunks]


def text(chunks: Sequence[ChatChunk]) -> str:
    """What the person has heard at the end."""
    heard = ""
    for chunk in chunks:
        heard = heard if chunk.kept is None else heard[: chunk.kept]
        heard += chunk.text
    return heard


async def test_an_answer_names_who_writes_it() -> None:
    chunks = await answered([pool_of("coding", ScriptedInstance("coding", WHOLE))])
    assert text(chunks) == WHOLE
    assert {chunk.by for chunk in chunks} == {"coding"}
    assert [chunk.kept for chunk in chunks if chunk.kept is not None] == []


@pytest.mark.parametrize(
    "failure",
    [
        GONE,
        ModelUnreachableError("the model server broke off in the middle of its answer"),
        ModelUnreachableError("the model server sent something that is not JSON"),
        ModelNotReadyError("the model server is not ready: loading"),
    ],
)
async def test_before_the_first_word_another_instance_is_simply_asked(failure: Exception) -> None:
    one, two = ScriptedInstance("coding", failure, host="h1"), ScriptedInstance("coding", WHOLE, host="h2")
    chunks = await answered([pool_of("coding", one, two)])
    assert text(chunks) == WHOLE
    assert [i.breaker.allows for i in (one, two)] == [False, True]
    assert two.scripted.requests[0].begun == ""


async def test_in_the_middle_the_next_goes_on_behind_what_was_said() -> None:
    one = ScriptedInstance("coding", ["The spare key", " lies", GONE], host="h1")
    two = ScriptedInstance("coding", " under the blue pot.", host="h2")
    chunks = await answered([pool_of("coding", one, two)])
    assert text(chunks) == WHOLE
    assert two.scripted.requests[0].begun == "The spare key lies"
    assert two.scripted.requests[0].messages == REQUEST.messages
    assert two.scripted.requests[0].max_tokens < REQUEST.max_tokens


async def test_a_space_that_was_said_is_not_sent_and_not_said_twice() -> None:
    one = ScriptedInstance("coding", ["The spare key ", GONE], host="h1")
    two = ScriptedInstance("coding", " lies under the blue pot.", host="h2")
    assert text(await answered([pool_of("coding", one, two)])) == WHOLE
    assert two.scripted.requests[0].begun == "The spare key"


async def test_an_engine_that_cannot_go_on_is_asked_to_and_its_repetition_dropped() -> None:
    one = ScriptedInstance("coding", ["The spare key", " lies", GONE], host="h1")
    two = ScriptedInstance("coding", WHOLE, host="h2", profile=BEGINS_ANEW)
    assert text(await answered([pool_of("coding", one, two)])) == WHOLE
    asked = two.scripted.requests[0]
    assert asked.begun == ""
    assert [m.content for m in asked.messages[-2:]] == ["The spare key lies", GO_ON]


async def test_an_old_engine_that_refuses_to_go_on_is_asked_in_words() -> None:
    one = ScriptedInstance("coding", ["The spare key", " lies", GONE], host="h1")
    two = ScriptedInstance("coding", RequestRefusedError("no such path"), " under the blue pot.", host="h2")
    assert text(await answered([pool_of("coding", one, two)])) == WHOLE
    assert [bool(asked.begun) for asked in two.scripted.requests] == [True, False]
    assert two.breaker.allows


async def test_without_another_instance_the_general_expert_goes_on_then_our_own_model() -> None:
    one = ScriptedInstance("coding", ["The spare", GONE])
    two = ScriptedInstance("general", [" key", GONE])
    own = ScriptedInstance("own", " lies under the blue pot.")
    chunks = await answered([pool_of("coding", one), pool_of("general", two), pool_of("", own)])
    assert text(chunks) == WHOLE
    assert own.scripted.requests[0].begun == "The spare key"
    assert chunks[-1].by == ""


async def test_a_server_that_hangs_is_left() -> None:
    hanging = ScriptedInstance("coding", ["The spare", Gate()], host="h1")
    hanging.scripted_probe.answers = False
    two = ScriptedInstance("coding", " key lies under the blue pot.", host="h2")
    assert text(await answered([pool_of("coding", hanging, two)])) == WHOLE
    assert hanging.scripted.cancelled == 1
    assert "hangs" in hanging.breaker.reason


async def test_the_wrong_model_is_not_asked() -> None:
    wrong = ScriptedInstance("coding", host="h1", model="qwen3-4b")
    right = ScriptedInstance("coding", WHOLE, host="h2", model="scripted.gguf")
    assert text(await answered([pool_of("coding", wrong, right)])) == WHOLE
    assert "serves scripted and not qwen3-4b" in wrong.breaker.reason
    assert wrong.scripted.requests == []


async def test_what_does_not_fit_goes_to_an_instance_with_more_context() -> None:
    small = ScriptedInstance("coding", ContextOverflowError("too long"), host="h1", context=2048)
    large = ScriptedInstance("coding", WHOLE, host="h2", context=8192)
    assert text(await answered([pool_of("coding", small, large)])) == WHOLE
    assert small.breaker.allows  # it is not its fault


async def test_what_fits_nowhere_loses_its_oldest_messages() -> None:
    talk = [Message("user", "old"), Message("assistant", "old"), Message("user", "newer"), Message("assistant", "n")]
    request = replace(REQUEST, messages=[REQUEST.messages[0], *talk, REQUEST.messages[1]])
    overflow = ContextOverflowError("too long")
    only = ScriptedInstance("coding", overflow, overflow, WHOLE, context=2048)
    assert text(await answered([pool_of("coding", only)], request)) == WHOLE
    sent = [[m.content for m in asked.messages] for asked in only.scripted.requests]
    assert [len(messages) for messages in sent] == [6, 4, 3]
    assert sent[-1][0] == "You know things."
    assert sent[-1][-1] == "Where is the key?"


async def test_a_request_that_fits_nowhere_at_all_says_so() -> None:
    only = ScriptedInstance("coding", ContextOverflowError("too long"))
    with pytest.raises(ContextOverflowError):
        await answered([pool_of("coding", only)])


async def test_a_refused_request_moves_on_and_blames_nobody() -> None:
    one = ScriptedInstance("coding", RequestRefusedError("unknown field"), host="h1")
    two = ScriptedInstance("coding", WHOLE, host="h2")
    assert text(await answered([pool_of("coding", one, two)])) == WHOLE
    assert one.breaker.allows
    only = ScriptedInstance("coding", RequestRefusedError("unknown field"))
    with pytest.raises(RequestRefusedError):
        await answered([pool_of("coding", only)], wait_s=60)
    assert len(only.scripted.requests) == 1


async def test_who_recovers_in_time_goes_on_itself() -> None:
    only = ScriptedInstance("coding", ["The spare key", GONE], " lies under the blue pot.")
    pool = pool_of("coding", only)

    async def repair() -> None:
        while only.breaker.allows:
            await asyncio.sleep(0)
        only.breaker.succeed()

    repairing = asyncio.create_task(repair())
    assert text(await answered([pool], wait_s=30)) == WHOLE
    await repairing


async def test_when_time_is_up_the_first_failure_is_told() -> None:
    only = ScriptedInstance("coding", ["The spare key", GONE])
    with pytest.raises(ModelUnreachableError, match="is gone"):
        await answered([pool_of("coding", only)], wait_s=0)


async def test_a_full_expert_is_not_replaced_but_one_that_died_is() -> None:
    busy = pool_of("coding", ScriptedInstance("coding"), queue=0)
    general = ScriptedInstance("general", WHOLE)
    async with busy.seat("another"):
        with pytest.raises(ExpertBusyError, match="coding expert is full"):
            await answered([busy, pool_of("general", general)])
    dead = ScriptedInstance("coding", GONE)
    full = pool_of("general", ScriptedInstance("general"), queue=0)
    async with full.seat("another"):
        own = ScriptedInstance("own", WHOLE)
        assert text(await answered([pool_of("coding", dead), full, pool_of("", own)])) == WHOLE


async def test_the_request_is_made_anew_for_another_model() -> None:
    def resume(raw: str, profile: ModelProfile) -> ChatRequest:
        begun = raw.partition("<tool_call>")[0]
        return ChatRequest([Message("system", f"for {profile.name}"), Message("user", "key?")], begun=begun)

    request = replace(REQUEST, resume=resume)
    one = ScriptedInstance("own", ["One moment.", "<tool_call>{", GONE])
    two = ScriptedInstance(
        "main", "<tool_call>{}</tool_call>", profile=replace(BEGINS_ANEW, name="big", continues=True)
    )
    chunks = await answered([pool_of("", one), pool_of("main", two)], request)
    assert text(chunks) == "One moment.<tool_call>{}</tool_call>"
    assert two.scripted.requests[0].messages[0].content == "for big"
    assert [chunk.kept for chunk in chunks if chunk.kept is not None] == [len("One moment.")]


async def test_stopping_frees_the_seat_and_stops_the_server() -> None:
    gate = Gate()
    one = ScriptedInstance("coding", ["The ", gate])
    pool = pool_of("coding", one)
    stream = Answering().stream(lambda: [pool], REQUEST)
    assert (await anext(stream)).text == "The "
    await stream.aclose()
    assert (one.running, one.scripted.cancelled) == (0, 1)
    assert one.breaker.allows


@pytest.mark.parametrize("another", [{}, {"profile": BEGINS_ANEW}])
async def test_what_a_client_began_stays_in_front_of_whatever_is_written(another: dict[str, ModelProfile]) -> None:
    began = replace(REQUEST, begun="The spare key ", begun_in_words=True, max_tokens=9)
    dead = ScriptedInstance("coding", ["lies under ", GONE])
    heir = ScriptedInstance("coding", "the blue pot.", host="h2", **another)
    chunks = await answered([pool_of("coding", dead, heir)], began)
    assert "".join(chunk.text for chunk in chunks) == "lies under the blue pot."
    assert [chunk.kept for chunk in chunks if chunk.kept is not None] == [len("The spare key lies under ")]
    first, second = dead.scripted.requests[0], heir.scripted.requests[0]
    assert (first.begun, first.max_tokens) == ("The spare key", 9), "only what is new counts"
    if another:
        assert second.messages[-2].content == "The spare key lies under "
    else:
        assert (second.begun, second.begun_in_words) == ("The spare key lies under", True)
    assert second.max_tokens <= 9


async def test_a_begun_answer_that_nobody_went_on_with_is_handed_over_as_it_was() -> None:
    began = replace(REQUEST, begun="The spare key")
    dead = ScriptedInstance("coding", GONE)
    heir = ScriptedInstance("coding", " lies there.", host="h2")
    chunks = await answered([pool_of("coding", dead, heir)], began)
    assert text(chunks) == " lies there."
    assert [chunk.kept for chunk in chunks if chunk.kept is not None] == []
    assert heir.scripted.requests[0].begun == "The spare key"
