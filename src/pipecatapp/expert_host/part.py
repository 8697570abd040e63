"""Puts the supervisor of one rank together, and runs it until it shall end."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import ValidationError

from pipecatapp.cluster.consul import ConsulClient, consul_url
from pipecatapp.errors import ConfigurationError, EngineError
from pipecatapp.expert_host.board import Board, ConsulBoard, LoneBoard, Peer
from pipecatapp.expert_host.choice import Verdict, choose
from pipecatapp.expert_host.commands import Command
from pipecatapp.expert_host.control import Control
from pipecatapp.expert_host.coordinator import Coordinator, CoordinatorTimes
from pipecatapp.expert_host.facts import Plan, RankState
from pipecatapp.expert_host.liveness import Pulse, client
from pipecatapp.expert_host.look import Look
from pipecatapp.expert_host.processes import ProcessStarter
from pipecatapp.expert_host.rank import Asker, Rank, RankTimes
from pipecatapp.expert_host.spec import ConsulAt, ExpertSpec, Place
from pipecatapp.expert_host.sums import Sums
from pipecatapp.machine import Machine, detect
from pipecatapp.storage.atomic import make_folder

logger = logging.getLogger(__name__)

ASK_WITHIN_S = 3.0
# An answer with the facts of every model is some kilobytes.
_MOST_STATE = 1 << 20


async def run_expert(
    spec: ExpertSpec,
    environment: Mapping[str, str],
    stop: asyncio.Event,
    *,
    machine: Machine | None = None,
    rank_times: RankTimes | None = None,
    coordinator_times: CoordinatorTimes | None = None,
) -> None:
    """Supervise this rank until ``stop`` is set; then nothing of it runs any more.

    Raises:
        ConfigurationError: the job's file or environment is wrong, or the key is not there.
        EngineError: the control port is taken.
    """
    place = Place.from_environment(environment)
    key = _secret(spec.api_key_file, "the expert's key")
    await asyncio.to_thread(make_folder, spec.folder)
    sums = Sums(spec.folder / f"sums-{place.rank}.json")
    board = _board(spec, place)
    machine = machine or detect()
    async with httpx.AsyncClient(
        timeout=ASK_WITHIN_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    ) as http:
        ask = asker(http, key)
        rank = Rank(
            spec=spec,
            place=place,
            machine=machine,
            look=Look(spec, place, machine, sums),
            board=board,
            starter=ProcessStarter(f"{spec.job_name}/{place.rank}@{spec.state_dir}"),
            ask=ask,
            pulse=_pulses(place, key),
            key=key,
            clock=time.monotonic,
            times=rank_times,
        )
        control = Control(place, key, rank.state, rank.ready, rank.file_of)
        works: list[Callable[[], Awaitable[None]]] = [rank.run]
        if place.rank == 0:
            works.append(Coordinator(spec, place, board, ask, clock=time.monotonic, times=coordinator_times).run)
        await control.start()
        try:
            await _until_stopped(works, stop)
        finally:
            sums.stop()
            await control.stop()
            await board.aclose()


async def look_around(spec: ExpertSpec) -> tuple[Verdict, list[RankState]]:
    """What would be chosen for the ranks that are there now, and what they say of themselves. Changes nothing.

    Raises:
        ConfigurationError: the key or token cannot be read, or the expert has no Consul.
        ConsulUnreachableError: Consul does not say who is there.
    """
    if spec.consul is None:
        raise ConfigurationError("the expert's file names no Consul, so nobody knows which machines are there")
    board = ConsulBoard(_consul(spec.consul), spec.job_name)
    key = _secret(spec.api_key_file, "the expert's key")
    try:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=ASK_WITHIN_S, trust_env=False, limits=limits) as http:
            ask = asker(http, key)
            answers = await asyncio.gather(*(ask(peer) for peer in await board.peers()))
    finally:
        await board.aclose()
    states = [state for state in answers if state is not None]
    return choose(spec, {state.rank: state.facts for state in states}), states


@dataclass(frozen=True, slots=True)
class Serving:
    """An expert that answers now: who computes, and where its API is."""

    plan: Plan
    head: RankState
    host: str
    port: int
    key: str


async def serving(spec: ExpertSpec) -> Serving:
    """How an expert runs now. Changes nothing.

    Raises:
        ConfigurationError: the key or token cannot be read, or the expert has no Consul.
        ConsulUnreachableError: Consul does not say.
        EngineError: it does not run, or is being started anew.
    """
    if spec.consul is None:
        raise ConfigurationError("the expert's file names no Consul, so nobody knows where it answers")
    _, states = await look_around(spec)
    consul = _consul(spec.consul)
    board = ConsulBoard(consul, spec.job_name)
    try:
        found = await consul.instances(spec.service_name).next()
        async with asyncio.timeout(ASK_WITHIN_S):
            plan = await board.plan("")
    except TimeoutError as error:
        raise EngineError(f"{spec.job_name} does not run: there is no plan; is its job running?") from error
    finally:
        await board.aclose()
    head = next((state for state in states if plan.head is not None and state.rank == plan.head.rank), None)
    match found:
        case [{"Service": {"Address": str(host), "Port": int(port)}}, *_] if head is not None:
            return Serving(plan, head, host, port, _secret(spec.api_key_file, "the expert's key"))
    raise EngineError(f"{spec.job_name} does not answer now: {plan.why or 'no instance passes its check'}")


def asker(http: httpx.AsyncClient, key: str) -> Asker:
    """Asks ranks how they are. What they answer is looked at before it counts."""

    async def ask(peer: Peer) -> RankState | None:
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                answer = await http.get(f"http://{host}:{peer.port}/state", headers={"Authorization": f"Bearer {key}"})
            if answer.status_code != httpx.codes.OK or len(answer.content) > _MOST_STATE:
                logger.warning("rank %d on %s answers %d", peer.rank, peer.host, answer.status_code)
                return None
            return RankState.model_validate_json(answer.content)
        except (httpx.HTTPError, TimeoutError):
            return None
        except ValidationError:
            logger.warning("rank %d on %s answers what makes no sense; is it of this release?", peer.rank, peer.host)
            return None

    return ask


def _pulses(place: Place, key: str) -> Callable[[Command], Pulse]:
    def make(command: Command) -> Pulse:
        return Pulse(client(place.host, place.api, key), command.slot, time.monotonic)

    return make


async def _until_stopped(works: list[Callable[[], Awaitable[None]]], stop: asyncio.Event) -> None:
    """Run all of them until it is time; what breaks ends the program, which Nomad starts again."""

    async def run(work: Callable[[], Awaitable[None]]) -> None:
        await work()

    tasks = [asyncio.create_task(run(work)) for work in works]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
    finally:
        stopping.cancel()
        # The last one first: who coordinates tells the others before this machine ends its part.
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _board(spec: ExpertSpec, place: Place) -> Board:
    me = Peer(place.rank, place.host, place.control)
    told = ConsulBoard(_consul(spec.consul), spec.job_name) if spec.consul is not None else None
    if spec.worker_count <= 1:
        return LoneBoard(me, told)
    if told is None:
        raise ConfigurationError(f"{spec.job_name} has {spec.worker_count} machines and no Consul to find each other")
    return told


def _consul(at: ConsulAt) -> ConsulClient:
    def token() -> str:
        return _secret(at.token_file, "Consul's token") if at.token_file is not None else ""

    authority = None
    if at.ca_file is not None and consul_url(at.address).startswith("https:"):
        try:
            authority = ssl.create_default_context(cafile=str(at.ca_file))
        except OSError as error:
            raise ConfigurationError(f"the certificate {at.ca_file} of Consul cannot be read: {error}") from error
    return ConsulClient(at.address, token(), renewed=token, authority=authority)


def _secret(file: Path, what: str) -> str:
    try:
        text = file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{what} cannot be read: {file}: {error.strerror}; deploy the expert again") from error
    if not text:
        raise ConfigurationError(f"{what} in {file} is empty; deploy the expert again")
    return text
