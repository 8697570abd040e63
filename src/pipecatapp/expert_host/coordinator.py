"""Decides for all ranks of an expert: gathers what they have, chooses, watches, and after a loss begins again with all.

Runs beside rank 0. A plan that works stays; what is lost takes every rank with it, because an RPC head aborts without
its workers and a ring without one hangs for ever. Between two starts it waits, longer each time. A model that does not
load is passed over for a while, longer each time, and the next one of the list answers meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pipecatapp.cluster.consul import ConsulUnreachableError
from pipecatapp.errors import PipecatAppError
from pipecatapp.expert_host.board import Board, Peer, SupersededError
from pipecatapp.expert_host.choice import Choice, choose
from pipecatapp.expert_host.facts import NodeFacts, Phase, Plan, RankState
from pipecatapp.expert_host.planning import make_plan, preference
from pipecatapp.expert_host.rank import Asker
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, Place

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CoordinatorTimes:
    """The waits, in seconds.

    Attributes:
        look_every: between two looks at all ranks.
        gather_within: for ranks that are not there yet, at the beginning.
        files_within: for ranks that still look at their files.
        lost_after: a rank that does not answer for so long is lost.
        follow_within: a rank that does not follow a plan after this is lost.
        stop_within: for all to end what they run.
        backoff_first, backoff_most: between two starts.
        steady_after: a group that ran so long begins again without a wait.
        blocked_first, blocked_most: how long what does not load is passed over.
        climb_after: a better choice must have held for so long.
    """

    look_every: float = 1.0
    gather_within: float = 45.0
    files_within: float = 600.0
    lost_after: float = 8.0
    follow_within: float = 30.0
    stop_within: float = 20.0
    backoff_first: float = 1.0
    backoff_most: float = 60.0
    steady_after: float = 300.0
    blocked_first: float = 600.0
    blocked_most: float = 7200.0
    climb_after: float = 120.0


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a plan ended.

    Attributes:
        blames: whether model and engine did not load.
        without: who is to be left out from now on, None: nobody.
        willing: nothing was lost, there is something better.
    """

    why: str
    blames: bool = False
    without: RankState | None = None
    willing: bool = False


@dataclass(slots=True)
class _Block:
    """What is passed over: until when, why, and how often it failed."""

    until: float
    why: str
    times: int


class Coordinator:
    """Coordinates one expert.

    Args:
        spec: the expert.
        place: where rank 0 is.
        board: where the ranks meet.
        ask: asks a rank how it is.
        clock: seconds that only go forward.
        sleep: waits.
        times: the waits.
    """

    def __init__(
        self,
        spec: ExpertSpec,
        place: Place,
        board: Board,
        ask: Asker,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        times: CoordinatorTimes | None = None,
    ) -> None:
        self._spec = spec
        self._place = place
        self._board = board
        self._ask = ask
        self._clock = clock
        self._sleep = sleep
        self._times = times or CoordinatorTimes()
        self._blocks: dict[tuple[str, EngineKind], _Block] = {}
        self._failures: dict[tuple[str, EngineKind], int] = {}
        self._dropped: dict[int, str] = {}
        self._backoff = self._times.backoff_first
        self._known: list[Peer] = []

    async def run(self) -> None:
        """Until it is cancelled; then nobody runs anything any more, where Consul takes that word."""
        try:
            while True:
                try:
                    await self._one_group()
                except SupersededError as error:
                    logger.warning("%s", error)
                    await self._until_mine()
                except ConsulUnreachableError as error:
                    logger.warning("%s; trying again", error)
                    await self._sleep(self._times.backoff_first)
        except asyncio.CancelledError:
            await asyncio.shield(self._leave())
            raise

    async def _one_group(self) -> None:
        """One plan from its choice to its end."""
        nodes = await self._gather()
        verdict = choose(self._spec, self._usable(nodes), self._blocked())
        if verdict.choice is None:
            logger.error("%s", verdict.why)
            await self._stop(verdict.why)
            await self._tell_model("")
            await self._sleep(self._times.backoff_most)
            # What was passed over may load again: there is nothing better to do.
            self._blocks.clear()
            self._dropped.clear()
            return
        plan = make_plan(self._spec, self._place, verdict, nodes)
        logger.info("plan %s: %s", plan.generation, verdict.why)
        began = self._clock()
        await self._board.publish(plan)
        loss = await self._watch(plan, verdict.choice)
        logger.warning("plan %s ends: %s", plan.generation, loss.why)
        self._learn(verdict.choice, loss)
        await self._stop(loss.why)
        if loss.willing or self._clock() - began > self._times.steady_after:
            self._backoff = self._times.backoff_first
        if not loss.willing:
            await self._sleep(self._backoff)
            self._backoff = min(self._times.backoff_most, self._backoff * 2)

    async def _gather(self) -> dict[int, RankState]:
        """The ranks that are there and know what they have; the first ones wait for the others."""
        began = self._clock()
        while True:
            states = await self._look()
            waited = self._clock() - began
            looking = any(state.phase is Phase.LOOKING for state in states.values())
            there = len(states) >= self._spec.worker_count or waited > self._times.gather_within
            if states and there and (not looking or waited > self._times.files_within):
                return states
            await self._sleep(self._times.look_every)

    async def _look(self) -> dict[int, RankState]:
        """What all ranks say now; of those that do not answer, nothing."""
        try:
            peers = await self._board.peers()
        except ConsulUnreachableError as error:
            # The ranks may be well: go on with those that are known.
            logger.warning("%s; asking the ranks that were there", error)
            peers = self._known
        self._known = peers
        answers = await asyncio.gather(*(self._ask(peer) for peer in peers))
        pairs = zip(peers, answers, strict=True)
        return {peer.rank: state for peer, state in pairs if state is not None and state.rank == peer.rank}

    async def _watch(self, plan: Plan, choice: Choice) -> Loss:
        """Until the plan does not hold any more."""
        began = self._clock()
        seen = {member.rank: began for member in plan.members}
        told, better_since = False, None
        while True:
            await self._sleep(self._times.look_every)
            states = await self._look()
            for member in plan.members:
                state = states.get(member.rank)
                now = self._clock()
                if state is not None and state.run != member.run:
                    return Loss(f"{member.name} (rank {member.rank}) was started anew")
                if state is None:
                    if now - seen[member.rank] > self._times.lost_after:
                        return Loss(f"{member.name} (rank {member.rank}) does not answer")
                    continue
                seen[member.rank] = now
                if loss := self._judge(plan, state, states, now - began):
                    return loss
            head = states.get(plan.members[0].rank)
            if head is None or head.plan != plan.generation or head.phase is not Phase.READY:
                continue
            self._failures.pop((choice.model, choice.engine), None)
            if not told:
                told = await self._tell_model(plan.model)
            better = self._better(choice, states)
            better_since = (better_since or self._clock()) if better else None
            if better_since and better and not head.busy and self._clock() - better_since > self._times.climb_after:
                return Loss(f"there is a better way now: {better.why}", willing=True)

    def _judge(self, plan: Plan, state: RankState, states: Mapping[int, RankState], age: float) -> Loss | None:
        """What a member's state means for all."""
        who = f"{state.facts.name} (rank {state.rank})"
        if state.plan != plan.generation:
            return Loss(f"{who} does not follow the plan") if age > self._times.follow_within else None
        if not state.phase.over:
            return None
        # Whom a ring does without is no loss, unless it makes no tokens either.
        left = next((other for other in states.values() if other.phase is Phase.LEFT), None)
        if left is not None and left.plan == plan.generation:
            return Loss(f"{who}: {state.why}, since {left.facts.name} (rank {left.rank}) left the ring", without=left)
        return Loss(f"{who}: {state.why}", blames=not self._has_answered(plan, states))

    def _has_answered(self, plan: Plan, states: Mapping[int, RankState]) -> bool:
        head = states.get(plan.members[0].rank)
        return head is not None and head.plan == plan.generation and head.was_ready

    def _learn(self, choice: Choice, loss: Loss) -> None:
        """What did not load twice is passed over for a while; who left the ring, until there is nothing else."""
        if loss.without is not None:
            self._dropped[loss.without.rank] = loss.without.run
        if not loss.blames:
            return
        key = (choice.model, choice.engine)
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= 2:
            times = self._blocks[key].times + 1 if key in self._blocks else 1
            wait = min(self._times.blocked_most, self._times.blocked_first * 2 ** (times - 1))
            self._blocks[key] = _Block(self._clock() + wait, f"it does not load: {loss.why}", times)
            logger.error("%s over %s is passed over for %.0f s: %s", *key, wait, loss.why)

    def _blocked(self) -> dict[tuple[str, EngineKind], str]:
        return {key: block.why for key, block in self._blocks.items() if block.until > self._clock()}

    def _usable(self, states: Mapping[int, RankState]) -> dict[int, NodeFacts]:
        return {rank: state.facts for rank, state in states.items() if self._dropped.get(rank) != state.run}

    def _better(self, choice: Choice, states: Mapping[int, RankState]) -> Choice | None:
        """What would be chosen now, where that is better than what runs."""
        found = choose(self._spec, self._usable(states), self._blocked()).choice
        return found if found and preference(self._spec, found) < preference(self._spec, choice) else None

    async def _tell_model(self, name: str) -> bool:
        try:
            await self._board.tell_model(name)
        except ConsulUnreachableError as error:
            logger.warning("the active model is not told: %s", error)
            return False
        return True

    async def _stop(self, why: str) -> None:
        """All end what they run; returns when they have, or do not answer."""
        plan = Plan(generation=secrets.token_hex(6), author=self._place.run, why=why)
        await self._board.publish(plan)
        began = self._clock()
        while self._clock() - began < self._times.stop_within:
            states = await self._look()
            if all(state.plan == plan.generation and state.phase is Phase.WAITING for state in states.values()):
                return
            await self._sleep(self._times.look_every / 4)

    async def _leave(self) -> None:
        """The word to all to end, as long as that is quickly said."""
        plan = Plan(generation=secrets.token_hex(6), author=self._place.run, why="the head ends")
        try:
            async with asyncio.timeout(3):
                await self._board.publish(plan)
                await self._board.tell_model("")
        except (PipecatAppError, TimeoutError) as error:
            logger.warning("the others are not told that the head ends: %s", error)

    async def _until_mine(self) -> None:
        """Wait until this is the newest allocation of rank 0 that is there."""
        while True:
            await self._sleep(self._times.gather_within)
            try:
                peers = await self._board.peers()
            except ConsulUnreachableError:
                continue
            if Peer(0, self._place.host, self._place.control) in peers:
                return
