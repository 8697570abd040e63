"""One rank of an expert: follows the plan, runs its part of the engine, says how that goes. Decides nothing.

A new plan ends whatever ran before, then begins. Whatever goes wrong is told (``REFUSED``, ``LOST``) and left as it is
until there is another plan: who coordinates sees it and makes one, for all ranks at once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.cluster.consul import ConsulUnreachableError
from pipecatapp.errors import ConfigurationError, DownloadError, EngineError
from pipecatapp.expert_host.board import Board, Peer
from pipecatapp.expert_host.commands import Command, command_for
from pipecatapp.expert_host.facts import Member, Phase, Plan, RankState
from pipecatapp.expert_host.fetch import fetch_model
from pipecatapp.expert_host.liveness import Pulse
from pipecatapp.expert_host.look import Look
from pipecatapp.expert_host.ports import check_port, listens
from pipecatapp.expert_host.processes import Running, Starter
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, ModelWish, Place
from pipecatapp.machine import Machine

logger = logging.getLogger(__name__)

# Asks a rank how it is; None: it does not answer.
Asker = Callable[[Peer], Awaitable[RankState | None]]


@dataclass(frozen=True, slots=True)
class RankTimes:
    """How long a rank waits, in seconds."""

    pulse_every: float = 10.0
    look_every: float = 0.5
    worker_within: float = 60.0
    headless_after: float = 40.0


class Rank:
    """Runs one rank.

    Args:
        spec: the expert.
        place: where this rank is.
        machine: this PC.
        look: what it has.
        board: where the plan stands.
        starter: starts programs.
        ask: asks another rank.
        pulse: makes what feels whether an engine makes tokens.
        key: the expert's API key.
        listens: whether somebody listens at an address.
        check_port: raises EngineError where another program has a port.
        clock: seconds that only go forward.
        times: the waits.
    """

    def __init__(
        self,
        *,
        spec: ExpertSpec,
        place: Place,
        machine: Machine,
        look: Look,
        board: Board,
        starter: Starter,
        ask: Asker,
        pulse: Callable[[Command], Pulse],
        key: str,
        clock: Callable[[], float],
        times: RankTimes | None = None,
        listens: Callable[[str, int], Awaitable[bool]] = listens,
        check_port: Callable[[str, int], None] = check_port,
    ) -> None:
        self._spec = spec
        self._place = place
        self._machine = machine
        self._look = look
        self._board = board
        self._starter = starter
        self._ask = ask
        self._make_pulse = pulse
        self._key = key
        self._clock = clock
        self._listens = listens
        self._check_port = check_port
        self._times = times or RankTimes()
        self._plan: Plan | None = None
        self._read = ""  # the generation that was read last
        self._phase, self._why, self._since = Phase.LOOKING, "looking at the files of this machine", clock()
        self._running: Running | None = None
        self._pulse: Pulse | None = None
        self._tokens_ok = 0
        self._was_ready = False
        self._own_mb = 0

    def state(self) -> RankState:
        """What it does now."""
        plan = self._plan
        member = plan.member(self._place.rank) if plan else None
        return RankState(
            rank=self._place.rank,
            run=self._place.run,
            host=self._place.host,
            data=self._place.data,
            signal=self._place.signal,
            facts=self._look.facts(self._own_mb),
            plan=plan.generation if plan else "",
            phase=self._phase,
            why=self._why,
            model=plan.model if plan and member else "",
            engine=plan.engine if plan and member else "",
            windows=tuple(member.layers for member in plan.members) if plan else (),
            since=self._clock() - self._since,
            busy=self._pulse.busy if self._pulse else False,
            tokens_ok=self._tokens_ok,
            was_ready=self._was_ready,
        )

    def ready(self) -> tuple[bool, str]:
        """Whether requests may come to this rank's API port."""
        if self._serves() and self._phase is Phase.READY:
            return True, self._why
        if self._phase is Phase.READY:
            return False, f"rank {self._place.rank} computes for the head"
        return False, self._why

    def file_of(self, model: str, file: str) -> tuple[Path, str] | None:
        """A file of a model that is here whole, for a peer."""
        held, wish = self._look.facts().models.get(model), self._spec.wish(model)
        if held is None or wish is None or file not in held.sums:
            return None
        return wish.path(self._spec.models_dir).with_name(file), held.sums[file]

    async def run(self) -> None:
        """Follow the plans, until it is cancelled; then nothing of this rank runs any more."""
        if left := await self._starter.clean():
            logger.warning("ended %d processes that an earlier supervisor of this rank left", left)
        await asyncio.to_thread(self._look.look)
        self._set(Phase.WAITING, "waits for a plan")
        part: asyncio.Task[None] | None = None
        try:
            while True:
                plan = await self._next_plan()
                await self._end(part)
                self._plan, self._was_ready = plan, False
                part = asyncio.create_task(self._take_part(plan), name=f"plan {plan.generation}")
        finally:
            await self._end(part)
            self._set(Phase.ENDED, "ended")

    async def _next_plan(self) -> Plan:
        """The next plan; without a head for some time, one in which nobody does anything."""
        following = asyncio.create_task(self._board.plan(self._read))
        missing_since: float | None = None
        try:
            while True:
                done, _ = await asyncio.wait([following], timeout=self._times.pulse_every / 2)
                if done:
                    plan = following.result()
                    self._read = plan.generation
                    return plan
                if not self._plan or not self._plan.members or self._place.rank == 0:
                    continue
                try:
                    there = {peer.rank for peer in await self._board.peers()}
                except ConsulUnreachableError:
                    continue  # a Consul that is away says nothing about the head
                if 0 in there:
                    missing_since = None
                elif missing_since is None:
                    missing_since = self._clock()
                elif self._clock() - missing_since > self._times.headless_after:
                    why = f"rank 0 is gone for {self._times.headless_after:.0f} s"
                    return Plan(generation=f"{self._plan.generation}-headless", author="", why=why)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _end(self, part: asyncio.Task[None] | None) -> None:
        if part is not None:
            part.cancel()
            await asyncio.gather(part, return_exceptions=True)

    async def _take_part(self, plan: Plan) -> None:
        member = plan.member(self._place.rank)
        if member is None or member.run != self._place.run:
            self._set(Phase.WAITING, plan.why or "the plan has no part for this rank")
            return
        try:
            await self._prepare(plan, member)
            command = await asyncio.to_thread(command_for, plan, self._spec, self._place, self._machine)
            await self._run(plan, command)
        except (EngineError, DownloadError, ConfigurationError, OSError) as error:
            self._set(Phase.LOST if self._was_ready else Phase.REFUSED, str(error))
            logger.error("rank %d: %s", self._place.rank, error)
        except Exception as error:
            # Nobody starts this task again: who coordinates must hear of it.
            logger.exception("rank %d stumbled", self._place.rank)
            self._set(Phase.LOST, f"{type(error).__name__}: {error}")

    async def _prepare(self, plan: Plan, member: Member) -> None:
        """Have the model here where this rank needs it, and the memory."""
        wish = self._spec.wish(plan.model)
        if wish is None:
            raise EngineError(f"the file of the expert on {socket.gethostname()} does not know the model {plan.model}")
        serves = plan.head is not None and plan.head.rank == self._place.rank
        needs_file = serves or plan.engine is EngineKind.RING
        if needs_file and wish.name not in self._look.facts().models:
            await self._fetch(wish)
        facts = self._look.facts()
        room = facts.free_mb - self._spec.reserve_mb
        if room < member.need_mb:
            raise EngineError(
                f"{facts.name} has {max(0, room)} MB for the {member.need_mb} MB that its part of {plan.model} takes: "
                "less than it said"
            )

    async def _fetch(self, wish: ModelWish) -> None:
        self._set(Phase.FETCHING, f"looks for {wish.name} on the other machines")
        having = []
        for peer in await self._board.peers():
            if peer.rank != self._place.rank and (state := await self._ask(peer)) is not None:
                held = state.facts.models.get(wish.name)
                if held is not None:
                    having.append((peer, held.sums))
        if not having:
            raise EngineError(f"no machine of the expert has {wish.name}")
        sums = {**having[0][1], **wish.sha256}
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._set, Phase.FETCHING, text)

        await fetch_model(wish, self._spec.models_dir, sums, [peer for peer, _ in having], self._key, tell)
        await asyncio.to_thread(self._look.look_at, wish)
        facts = self._look.facts()
        if wish.name not in facts.models:
            raise EngineError(facts.faults.get(wish.name, f"{wish.name} was fetched and is not here"))

    async def _run(self, plan: Plan, command: Command) -> None:
        """Start the program, and watch it until it ends or this is cancelled; then all of it is gone."""
        if self._serves() and plan.engine is EngineKind.RPC:
            await self._until_workers(plan)
        self._set(Phase.LOADING, f"{plan.engine}: loading {plan.model}")
        for folder in map(Path, command.environment.values()):
            await asyncio.to_thread(_keep_only, folder)
        if command.port is not None:
            self._check_port(self._place.host, command.port)
        log = self._spec.folder / f"engine-{self._place.rank}.log"
        self._running = running = await self._starter.start(
            command.engine, command.arguments, dict(command.environment), log
        )
        ended = asyncio.create_task(running.wait(), name="engine")
        try:
            watch = self._serve(plan, command, running) if self._serves() else self._work(plan, command)
            watching = asyncio.create_task(watch, name="engine's pulse")
            try:
                await asyncio.wait([ended, watching], return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    watching.result()
                why = await ended
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            if running.code == 0 and plan.engine is EngineKind.RING and not self._serves():
                self._set(Phase.LEFT, "the ring does without this machine: its part of the engine ended by itself")
            else:
                self._set(Phase.LOST, why)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
            await running.end()
            self._running = self._pulse = None
            self._own_mb = 0

    async def _serve(self, plan: Plan, command: Command, running: Running) -> None:
        """Until it makes no tokens any more."""
        async with self._make_pulse(command) as pulse:
            self._pulse = pulse
            await self._feel(plan, pulse, running)

    async def _feel(self, plan: Plan, pulse: Pulse, running: Running) -> None:
        await pulse.first_token(lambda: running.code is not None, plan.load_within_s, plan.token_within_s)
        if running.code is not None:
            return
        self._was_ready, self._tokens_ok = True, self._tokens_ok + 1
        self._set(Phase.READY, f"{plan.model} answers ({plan.engine}): {plan.why}")
        logger.info("%s answers on %s:%d (%s)", plan.model, self._place.host, self._place.api, plan.engine)
        # Where a token takes long, because it is read from disk, asking for one costs as much.
        pause = max(self._times.pulse_every, plan.token_within_s / 3)
        while True:
            await self._weigh()
            await asyncio.sleep(pause)
            await pulse.feel(plan.token_within_s)
            self._tokens_ok += 1

    async def _work(self, plan: Plan, command: Command) -> None:
        """Until it can be asked; then it only has to run. A rank of a ring listens to the ring alone."""
        if (port := command.port) is not None:
            await self._until(lambda: self._listens(self._place.host, port), "its part of the engine does not listen")
        self._was_ready = True
        self._set(Phase.READY, f"computes {plan.model} for the head ({plan.engine})")
        while True:
            await self._weigh()
            await asyncio.sleep(self._times.pulse_every)

    async def _until_workers(self, plan: Plan) -> None:
        """An RPC head that starts before its workers listen aborts."""
        self._set(Phase.LOADING, "waits until the other machines listen")
        await self._until(lambda: self._workers_ready(plan), "the other machines do not listen")

    async def _until(self, holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """Raises EngineError: it has not come true in time."""
        within, began = self._times.worker_within, self._clock()
        while not await holds():
            if self._clock() - began > within:
                raise EngineError(f"{otherwise} after {within:.0f} s")
            await asyncio.sleep(self._times.look_every)

    async def _weigh(self) -> None:
        """What the engine has of the memory, for the facts: looking for its processes takes a moment."""
        if self._running is not None:
            self._own_mb = await asyncio.to_thread(self._running.memory_mb)

    async def _workers_ready(self, plan: Plan) -> bool:
        peers = {peer.rank: peer for peer in await self._board.peers()}
        for member in plan.members[1:]:
            state = await self._ask(peers[member.rank]) if member.rank in peers else None
            if state is None or state.plan != plan.generation or state.phase is not Phase.READY:
                return False
        return True

    def _serves(self) -> bool:
        head = self._plan.head if self._plan else None
        return head is not None and head.rank == self._place.rank and head.run == self._place.run

    def _set(self, phase: Phase, why: str) -> None:
        if phase is not self._phase:
            self._phase, self._since = phase, self._clock()
        if why != self._why:
            logger.info("rank %d: %s: %s", self._place.rank, phase, why)
        self._why = why


def _keep_only(folder: Path) -> None:
    """Have this folder, and none of those that lie beside it: a model's tensors fill a disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
