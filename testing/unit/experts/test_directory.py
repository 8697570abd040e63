"""The table of experts, and the model that an expert stands in for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from pipecatapp.domain import ComponentHealth, Message
from pipecatapp.errors import ModelNotReadyError, ModelUnreachableError
from pipecatapp.events import ExpertsChanged
from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.ports import ChatRequest
from pipecatapp.registration import Registration
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.chat_model import Answer, ScriptedChatModel
from testing.fakes.experts import GOES_ON, Clock, ScriptedInstance, ScriptedProbe

pytestmark = pytest.mark.unit

REQUEST = ChatRequest([Message("user", "hello")], slot_key="c")
GONE = ModelUnreachableError("the model server is gone")


def registration(name: str, host: str = "h1", **more: object) -> Registration:
    return Registration(name, f"http://{host}:1/v1", slots=2, **more)  # type: ignore[arg-type]


class DirectoryHarness:
    """Experts whose answers the test wrote down, by the host they are on."""

    def __init__(
        self,
        answers: dict[str, Sequence[Answer]] | None = None,
        fixed: Sequence[Registration] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.answers = answers or {}
        self.made: list[ScriptedInstance] = []
        self.sink = RecordingSink()
        self.experts = Experts(self._connect, self.sink, fixed, wait_s=0.3, clock=clock)

    def _connect(self, registration: Registration) -> Instance:
        host = registration.address.partition(":")[0]
        breaker = CircuitBreaker(first_s=0.05)
        made = ScriptedInstance(
            registration.expert, *self.answers.get(host, ()), host=host, slots=2, model=registration.model,
            breaker=breaker,
        )  # fmt: skip
        made.registration = registration
        self.made.append(made)
        return made

    async def ask(self, expert: str) -> tuple[str, str]:
        """What was said, and by whom."""
        chunks = [chunk async for chunk in self.experts.ask(expert, REQUEST)]
        return "".join(chunk.text for chunk in chunks), chunks[-1].by

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.experts.start()
        try:
            yield
        finally:
            await self.experts.aclose()


async def until(condition: object) -> None:
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_instances_that_stay_keep_what_is_known_of_them() -> None:
    h = DirectoryHarness({"h1": ["One.", "Two."], "h2": ["Three."]})
    h.experts.update([registration("coding")])
    assert await h.ask("coding") == ("One.", "coding")
    h.experts.update([registration("coding"), registration("math", "h2")], stale=True)
    assert [instance.id for instance in h.made] == ["coding@h1:1", "math@h2:1"]
    assert [(row["name"], row["turns"], row["healthy"]) for row in h.experts.table()] == [
        ("coding", 1, True),
        ("math", 0, True),
    ]
    assert h.experts.stale
    h.experts.update([registration("math", "h2")])
    assert [expert.name for expert in h.experts.experts()] == ["math"]


async def test_what_is_registered_anew_with_another_model_is_another_instance() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("coding")])
    h.experts.update([registration("coding", model="scripted")])
    assert len(h.made) == 2
    async with h.running():
        await until(lambda: h.made[0].scripted_probe.closed)
    assert h.made[1].scripted_probe.closed


async def test_external_experts_are_always_there() -> None:
    h = DirectoryHarness({"h9": ["Dear Ann."]}, fixed=[registration("writing", "h9", description="letters")])
    assert [(e.name, e.description) for e in h.experts.experts()] == [("writing", "letters")]
    h.experts.update([registration("coding")])
    assert [e.name for e in h.experts.experts()] == ["coding", "writing"]
    assert await h.ask("writing") == ("Dear Ann.", "writing")


async def test_who_is_away_for_a_moment_stays_on_the_list_and_is_stood_in_for() -> None:
    clock = Clock()
    h = DirectoryHarness({"h2": ["I say it."]}, clock=clock)
    h.experts.update([registration("coding", description="programs"), registration("general", "h2")])
    h.experts.update([registration("general", "h2")], {"coding", "general"})  # its check fails
    assert [(e.name, e.description) for e in h.experts.experts()] == [("coding", "programs"), ("general", "")]
    assert [row["name"] for row in h.experts.table()] == ["general"]
    assert await h.ask("coding") == ("I say it.", "general")
    clock.now += 31
    assert [e.name for e in h.experts.experts()] == ["general"]
    h.experts.update([registration("coding"), registration("general", "h2")])
    assert [e.name for e in h.experts.experts()] == ["coding", "general"]
    h.experts.update([registration("general", "h2")])  # it is not registered any more
    assert [e.name for e in h.experts.experts()] == ["general"]


async def test_who_only_stands_in_is_no_expert_to_ask() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("main"), registration("general", "h2")])
    assert [expert.name for expert in h.experts.experts()] == ["general"]
    assert [pool.name for pool in h.experts.stand_ins()] == ["main", "general"]
    assert [row["name"] for row in h.experts.table() if row["stands_in"]] == ["main"]


async def test_an_instance_that_failed_is_probed_and_comes_back() -> None:
    h = DirectoryHarness({"h1": [["Half", GONE], "x", "Whole."], "h2": [" an answer."]})
    h.experts.update([registration("coding"), registration("general", "h2")])
    async with h.running():
        assert await h.ask("coding") == ("Half an answer.", "general")
        await until(lambda: h.made[0].breaker.allows)
        assert await h.ask("coding") == ("Whole.", "coding")
    assert h.made[0].scripted.requests[1].max_tokens == 1  # it had to say something before it was trusted again
    assert h.experts.table()[0]["failures"] == 1


async def test_the_wrong_model_is_found_out_before_anybody_asks() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("coding", model="qwen3-4b")])
    async with h.running():
        await until(lambda: not h.made[0].breaker.allows)
        row = h.experts.table()[0]
        assert (row["healthy"], row["instances"][0]["state"]) == (False, "open")
        assert "serves scripted and not qwen3-4b" in row["instances"][0]["reason"]
        assert [expert.name for expert in h.experts.experts()] == ["coding"]  # the prompt does not flicker


async def test_one_that_hangs_is_found_out_before_anybody_asks() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("coding"), registration("general", "h2")])
    h.made[0].scripted_probe.answers = False
    async with h.running():
        await until(lambda: not h.made[0].breaker.allows)
        assert h.made[1].breaker.allows
        assert "does not even say that it lives" in h.experts.table()[0]["instances"][0]["reason"]


async def test_one_that_goes_while_it_is_looked_at_is_closed_when_that_has_ended() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("coding")])
    probe = h.made[0].scripted_probe
    probe.may_answer.clear()
    async with h.running():
        await until(lambda: probe.asked)
        h.experts.update([registration("math", "h2")])
        await until(lambda: h.made[1].scripted_probe.asked)
        assert not probe.closed
        probe.may_answer.set()
        await asyncio.sleep(0.01)
        h.experts.update([registration("math", "h2"), registration("law", "h3")])
        await until(lambda: probe.closed)


async def test_external_experts_are_asked_nothing_but_turns() -> None:
    h = DirectoryHarness(fixed=[registration("writing", "h9", external=True)])
    h.experts.update([registration("coding")])
    async with h.running():
        await until(lambda: h.made[1].scripted_probe.asked)
        await asyncio.sleep(0.05)
    assert {made.id: made.scripted_probe.asked > 0 for made in h.made} == {"coding@h1:1": True, "writing@h9:1": False}


async def test_the_pages_are_told_what_changed() -> None:
    h = DirectoryHarness()
    async with h.running():
        h.experts.update([registration("coding")])
        await until(lambda: h.sink.of(ExpertsChanged))
        h.experts.update([registration("coding")], stale=True)
        await until(lambda: len(h.sink.of(ExpertsChanged)) == 2)
    first, second = h.sink.of(ExpertsChanged)
    assert [row["name"] for row in first.experts] == ["coding"]
    assert (first.stale, second.stale) == (False, True)


async def test_health_counts_them_and_is_always_ok() -> None:
    h = DirectoryHarness()
    assert (await h.experts.health()).reason == "none is registered"
    h.experts.update([registration("coding"), registration("coding", "h2")], stale=True)
    h.made[0].breaker.fail("gone")
    state = await h.experts.health()
    assert state.ok
    assert state.reason == "1 of 2 instances of 1 expert answer; Consul is away, this is what was last known"


# --- the agent's own model


async def test_our_own_model_writes_and_is_nobody_else() -> None:
    h = DirectoryHarness()
    model = ResilientChatModel(ScriptedInstance("own", "Hello."), h.experts)
    chunks = [chunk async for chunk in model.stream(REQUEST)]
    assert "".join(chunk.text for chunk in chunks) == "Hello."
    assert {chunk.by for chunk in chunks} == {""}


async def test_when_it_dies_the_best_stand_in_goes_on() -> None:
    h = DirectoryHarness({"h1": ["no"], "h2": [" there."]})
    h.experts.update([registration("coding"), registration("main", "h2")])
    own = ScriptedInstance("own", ["Hello", GONE])
    chunks = [chunk async for chunk in ResilientChatModel(own, h.experts).stream(REQUEST)]
    assert "".join(chunk.text for chunk in chunks) == "Hello there."
    assert chunks[-1].by == "main"


async def test_and_it_stands_in_for_the_experts() -> None:
    h = DirectoryHarness({"h1": [["Hello", GONE]]})
    h.experts.update([registration("coding")])
    own = ScriptedInstance("own", " there.")
    ResilientChatModel(own, h.experts)
    assert await h.ask("coding") == ("Hello there.", "")


async def test_its_profile_is_that_of_the_one_who_will_be_asked() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("general")])
    own = ScriptedInstance("own", profile=ModelNotReadyError("loading"))
    model = ResilientChatModel(own, h.experts)
    assert await model.profile() == GOES_ON
    assert not own.breaker.allows
    state = await model.health()
    assert state.ok
    assert "the general expert answers; our own is away" in state.reason


async def test_one_that_hangs_does_not_hide_that_another_is_well() -> None:
    class Hanging(ScriptedChatModel):
        async def health(self) -> ComponentHealth:
            return await asyncio.Future()

    h = DirectoryHarness()
    h.experts.update([registration("general")])
    own = Instance(Registration("own", "http://h9:1/v1"), Hanging(), ScriptedProbe())
    state = await ResilientChatModel(own, h.experts, health_within_s=0.05).health()
    assert state.ok
    assert "our own is away: the model server does not answer" in state.reason


async def test_without_any_stand_in_its_own_trouble_is_told() -> None:
    model = ResilientChatModel(
        ScriptedInstance("own", profile=ModelNotReadyError("half loaded", 0.5)), DirectoryHarness().experts
    )
    with pytest.raises(ModelNotReadyError) as caught:
        await model.profile()
    assert caught.value.progress == 0.5
    assert not (await model.health()).ok


async def test_a_node_without_a_model_of_its_own_is_answered_by_the_main_expert() -> None:
    h = DirectoryHarness({"h1": ["Hello."]})
    model = ResilientChatModel(None, h.experts)
    with pytest.raises(ModelNotReadyError, match="no expert that could answer"):
        await model.profile()
    assert not (await model.health()).ok
    h.experts.update([registration("main")])
    assert await model.profile() == GOES_ON
    chunks = [chunk async for chunk in model.stream(REQUEST)]
    assert ("".join(chunk.text for chunk in chunks), chunks[-1].by) == ("Hello.", "")
    await model.prefill([Message("user", "he")], "c")
    assert h.made[0].scripted.prefilled


async def test_a_turn_waits_for_who_is_well_in_a_moment() -> None:
    h = DirectoryHarness()
    h.experts.update([registration("general")])
    own = ScriptedInstance("own", breaker=CircuitBreaker(most_s=60))
    own.breaker.fail("gone")
    h.made[0].breaker.fail("gone")
    asking = asyncio.create_task(ResilientChatModel(own, h.experts, wait_s=60).profile())
    await asyncio.sleep(0.05)
    assert not asking.done()
    h.made[0].breaker.succeed()
    assert await asking == GOES_ON
