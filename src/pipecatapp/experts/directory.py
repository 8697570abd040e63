"""The table of experts: who is there, who is well, who is busy; asks them and tells the pages what changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

from pipecatapp.background import BackgroundTasks
from pipecatapp.domain import ComponentHealth, Expert, Message
from pipecatapp.errors import ModelError
from pipecatapp.events import ExpertsChanged
from pipecatapp.experts.answering import Answering
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.pool import Pool
from pipecatapp.experts.waking import Waker
from pipecatapp.ports import ChatChunk, ChatRequest, EventSink
from pipecatapp.registration import Registration

logger = logging.getLogger(__name__)

# Who stands in for the agent's own model, the best first; they are asked nothing else.
MAIN = ("main", "router")
GENERAL = "general"

# So long a registered expert of which no instance passes its check stays on the list.
_AWAY_S = 30.0
_TOLD_EVERY_S = 1.0
_LOOKED_EVERY_S = 2.0

Connect = Callable[[Registration], Instance]


class Experts:
    """Implements ``ports.ExpertDirectory``.

    Args:
        connect: makes an instance of a registration.
        sink: where changes of the table go, at most once a second.
        fixed: registrations that are always there (external experts).
        queue: how many requests may wait for each expert.
        wait_s: how long a turn waits for somebody who can go on with it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        connect: Connect,
        sink: EventSink,
        fixed: Sequence[Registration] = (),
        *,
        queue: int = 4,
        wait_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._sink = sink
        self._fixed = tuple(fixed)
        self._queue = queue
        self._answering = Answering(wait_s)
        self._pools: dict[str, Pool] = {}
        self._gone: list[Instance] = []
        self._last_resort: Pool | None = None
        self._tasks = BackgroundTasks("looking after the experts failed")
        self._told: tuple[list[dict[str, Any]], bool] = ([], False)
        self._news = asyncio.Event()
        self._looked_at: set[Instance] = set()
        self._probed: set[Instance] = set()
        self.stale = False
        self._clock = clock
        self._waker = Waker(clock)
        self._names: set[str] = set()
        self._seen: dict[str, Expert] = {}
        self._empty_since: dict[str, float] = {}
        self.update([])

    def stand_by(self, own: Pool) -> None:
        """The agent's own model answers when no expert can."""
        self._last_resort = own

    def start(self) -> None:
        """Begin to look after the instances, in the running loop."""
        self._keep(self._probe_forever(), "probe experts")
        self._keep(self._look_forever(), "look at experts")
        self._keep(self._tell_forever(), "tell of experts")

    async def aclose(self) -> None:
        """End it and close all connections."""
        await self._tasks.cancel()
        await self._waker.aclose()
        for instance in [*self._gone, *self._instances()]:
            await instance.aclose()

    def update(
        self, registrations: Sequence[Registration], names: Collection[str] | None = None, stale: bool = False
    ) -> None:
        """These are the registrations from now on; instances that stay keep what is known of them.

        ``names`` are those of all experts that are registered at all: one of them without an instance that passes its
        check may only be away for a moment.
        """
        self.stale = stale
        if names is None:
            names = {registration.expert for registration in registrations}
        self._names = {*names, *(registration.expert for registration in self._fixed)}
        known = {instance.id: instance for instance in self._instances()}
        wanted = {registration.id: registration for registration in [*registrations, *self._fixed]}
        for key, instance in list(known.items()):
            if wanted.get(key) != instance.registration:
                self._gone.append(known.pop(key))
        new = {key: self._connect(wanted[key]) for key in sorted(wanted.keys() - known.keys())}
        everybody = [*known.values(), *new.values()]
        for name in {instance.registration.expert for instance in everybody} | self._pools.keys():
            pool = self._pools.setdefault(name, Pool(name, self._queue))
            pool.set(instance for instance in everybody if instance.registration.expert == name)
            if pool.instances:
                self._seen[name] = Expert(name, _described(pool))
                self._empty_since.pop(name, None)
            else:
                self._empty_since.setdefault(name, self._clock())
        if new:
            self._news.set()
            logger.info("experts: %s", ", ".join(sorted(i.id for i in everybody)) or "none")

    def experts(self) -> Sequence[Expert]:
        """Those that a request can be handed to, by name.

        How their instances are now does not change the list, or the front of every prompt would change with it; who
        is away for a moment is stood in for.
        """
        now = self._clock()
        known = sorted(self._names & self._seen.keys() - set(MAIN))
        return [self._seen[name] for name in known if now - self._empty_since.get(name, now) < _AWAY_S]

    def ask(self, expert: str, request: ChatRequest, *, meanwhile: bool = False) -> AsyncIterator[ChatChunk]:
        """The expert's answer; where it fails another instance, the general expert or our own model goes on.

        ``meanwhile``: where it sleeps, those of them answer who are awake, while there is one.
        """

        def chain() -> list[Pool]:
            whole = self._chain(expert)
            awake = [pool for pool in whole if pool.usable() and not pool.sleeps]
            return awake if meanwhile and awake else whole

        return self._answering.stream(chain, request)

    def wake_seconds(self, expert: str) -> float | None:
        """About how long a request to it waits because it sleeps; None: it is awake, away, or nobody knows it."""
        pool = self._pools.get(expert)
        return self._waker.seconds(pool) if pool is not None and pool.sleeps else None

    def wake(self, expert: str, front: Message) -> None:
        """Have it wake, where it sleeps, by a request that readies the front of its prompts."""
        pool = self._pools.get(expert)
        if pool is not None and pool.sleeps:
            self._waker.wake(pool, front)

    def stand_ins(self) -> list[Pool]:
        """Who can stand in for the agent's own model, the best first."""
        rest = [name for name in sorted(self._pools) if name not in (*MAIN, GENERAL)]
        return [self._pools[name] for name in (*MAIN, GENERAL, *rest) if name in self._pools]

    def table(self) -> list[dict[str, Any]]:
        """Everything about the experts, as ``GET /api/experts`` tells it."""
        return [_row(pool) for _, pool in sorted(self._pools.items()) if pool.instances]

    async def health(self) -> ComponentHealth:
        """How many there are. Always ok: without experts the agent answers by itself."""
        everybody = self._instances()
        if not everybody:
            return ComponentHealth("experts", True, "none is registered", vital=False)
        well = sum(1 for instance in everybody if instance.breaker.allows)
        count = len(self.table())
        reason = f"{well} of {len(everybody)} instances of {count} expert{'' if count == 1 else 's'} answer"
        away = "; Consul is away, this is what was last known" if self.stale else ""
        return ComponentHealth("experts", True, reason + away, vital=False)

    def _chain(self, expert: str) -> list[Pool]:
        names = [expert] if expert == GENERAL else [expert, GENERAL]
        chain = [self._pools[name] for name in names if name in self._pools]
        if not chain or chain[0].name != expert:
            chain.insert(0, Pool(expert))
        return [*chain, *([self._last_resort] if self._last_resort else [])]

    def _instances(self) -> list[Instance]:
        return [instance for pool in self._pools.values() for instance in pool.instances]

    def _looked_after(self) -> list[Instance]:
        own = self._last_resort.instances if self._last_resort else []
        return [*self._instances(), *own]

    def _keep(self, work: Any, name: str) -> None:
        self._tasks.start(work, name)

    async def _probe_forever(self) -> None:
        while True:
            for instance in self._looked_after():
                if instance.breaker.probe():
                    self._probed.add(instance)
                    self._keep(self._probe(instance), f"probe {instance.id}")
            await asyncio.sleep(0.2)

    async def _probe(self, instance: Instance) -> None:
        try:
            await instance.check()
        finally:
            self._probed.discard(instance)
        if instance.breaker.allows:
            for pool in self._pools.values():
                pool.wake()

    async def _look_forever(self) -> None:
        while True:
            for instance in self._looked_after():
                # A service on the internet counts requests: only turns ask it.
                fine = instance.breaker.allows and not instance.registration.external
                if fine and instance not in self._looked_at:
                    self._looked_at.add(instance)
                    self._keep(self._look(instance), f"look at {instance.id}")
            await self._close_gone()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOKED_EVERY_S)

    async def _look(self, instance: Instance) -> None:
        try:
            # The wrong model is found out before anybody needs the expert.
            await instance.profile()
            await instance.look()
        except ModelError as error:
            instance.failed(error)
        finally:
            self._looked_at.discard(instance)

    async def _close_gone(self) -> None:
        # A connection that is closed under a request stays open in the kernel.
        asked = self._looked_at | self._probed
        idle = [instance for instance in self._gone if not instance.running and instance not in asked]
        self._gone = [instance for instance in self._gone if instance not in idle]
        for instance in idle:
            await instance.aclose()

    async def _tell_forever(self) -> None:
        while True:
            now = (self.table(), self.stale)
            if now != self._told:
                self._told = now
                self._sink.emit(ExpertsChanged(experts=now[0], stale=now[1]))
            await asyncio.sleep(_TOLD_EVERY_S)


def _described(pool: Pool) -> str:
    return next((i.registration.description for i in pool.instances if i.registration.description), "")


def _row(pool: Pool) -> dict[str, Any]:
    instances = pool.instances
    first = instances[0].registration
    return {
        "name": pool.name,
        "description": _described(pool),
        "model": first.model,
        "engine": first.engine,
        "context": first.context,
        "quantization": first.quantization,
        "tools": first.tools,
        "external": first.external,
        "stands_in": pool.name in MAIN,
        "healthy": any(instance.breaker.allows for instance in instances),
        "asleep": pool.sleeps,
        "busy": pool.running,
        "slots": sum(instance.slots for instance in instances),
        "queue": pool.waiting,
        "tokens_per_s": round(max(instance.tokens_per_s for instance in instances), 1) or None,
        "turns": sum(instance.turns for instance in instances),
        "failures": sum(instance.failures for instance in instances),
        "instances": [_instance_row(instance, pool.waiting) for instance in instances],
    }


def _instance_row(instance: Instance, waiting: int) -> dict[str, Any]:
    here = instance.registration
    return {
        "id": instance.id,
        "address": here.address,
        "engine": here.engine,
        "model": here.model,
        "context": here.context,
        "state": instance.state,
        "reason": instance.breaker.reason,
        "asleep": here.asleep,
        "busy": instance.running + instance.elsewhere,
        "slots": instance.slots,
        "queue": max(0, instance.running - instance.slots) + (waiting if instance.full else 0),
        "tokens_per_s": round(instance.tokens_per_s, 1) or None,
        "turns": instance.turns,
        "failures": instance.failures,
    }
