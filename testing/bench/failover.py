"""Turns that are answered while their servers die: real llama-servers, a real Consul, faults at random moments.

The agent's own model, two instances of one expert and the general expert, each on a loopback address of its own, behind
three Consul servers. While turns run, servers are killed (kill -9), stopped (SIGSTOP) and their connections reset, and
Consul loses its leader. Every answer is compared with the one that the same servers give when left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Discovery
from pipecatapp.events import ErrorSpoken
from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.experts.server import ServerProbe
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.ports import ChatChunk, ChatRequest
from pipecatapp.registration import Registration
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress
from testing.consul import ConsulAgent, consul_servers
from testing.fakes.agent_harness import RecordingSink, ScriptedTool
from testing.fakes.resetting_proxy import ResettingProxy
from testing.fakes.storage import storage_in
from testing.llama import LlamaServer

CONSUL = ("127.0.0.51", "127.0.0.52", "127.0.0.53")
# Whose server listens where; relays stand in front of them, one address further.
SERVERS = {"own": "127.0.0.71", "coding-1": "127.0.0.73", "coding-2": "127.0.0.75", "general": "127.0.0.77"}
# Conversations; what calls a tool and what goes to an expert is known of the starter model.
TALKS = (
    ("hello how do you feel today", "what is your status", "who are you, and who built you?"),
    ("remember that the key for the shed hangs behind the door", "thank you, that was very kind of you"),
    ("write a python function that sorts a list", "what time is it", "are you a robot"),
    ("how much is seven times eight", "what can you do", "how do i parse json in python"),
    ("good evening", "why do cats purr", "please note that the seminar is on thursday", "bye bye computer"),
)
FAULTS = ("kill -9", "SIGSTOP", "reset", "leader loss")
# The part of the turns during which something breaks, and of these the part where it is a server at work.
DISTURBED, AIMED = 0.6, 0.6
WORKERS = 2


class GreedyModel(OpenAIChatModel):
    """Always the likeliest token, also where an expert may be creative: answers can be compared."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        async for chunk in super().stream(replace(request, temperature=0.0)):
            yield chunk


@dataclass(slots=True)
class Turn:
    """What came of one request."""

    said: str
    seconds: float
    calls: int
    failed: bool
    faults: list[str] = field(default_factory=list)


class FailoverStage:
    """The agent and everything around it."""

    def __init__(self, folder: Path, consul: Sequence[ConsulAgent]) -> None:
        self._folder = folder
        self.consul = list(consul)
        self.servers = {name: LlamaServer(host, folder, slow=True) for name, host in SERVERS.items()}
        self.proxies = {
            name: ResettingProxy(_next(server.host), server.host, server.port) for name, server in self.servers.items()
        }
        self.sink = RecordingSink()
        self.tools = [
            ScriptedTool("mcp.get_status", "All parts are up."),
            ScriptedTool("clock.now", "It is noon."),
            ScriptedTool("memory.remember", "I will remember that.", parameters=_TEXT),
        ]
        self.experts = Experts(self._connect, self.sink)
        self._discovery = Discovery(ConsulClient(self.consul[0].address), self.experts.update)
        self.own: Instance | None = None

    async def start(self) -> None:
        """All servers up, all experts registered and found."""
        for server in self.servers.values():
            await server.start()
        for proxy in self.proxies.values():
            await proxy.start()
        for name, proxy in self.proxies.items():
            if name != "own":
                await self.consul[0].register(name.partition("-")[0], proxy.host, proxy.port, model="starter")
        own = Registration("own", f"http://{self.proxies['own'].host}:{self.proxies['own'].port}/v1")
        self.own = self._connect(own)
        model = ResilientChatModel(self.own, self.experts)
        self.agent = Agent(
            model,
            self.tools,
            self.sink,
            storage_in(self._folder / "conversations").conversations,
            experts=self.experts,
            persona=lambda: "",
            # What the starter model was trained on, so that it speaks as an expert too.
            expert_persona=lambda _: "tools: none\nexperts: none",
        )
        self.experts.start()
        self._discovery.start()
        async with asyncio.timeout(30):
            while sum(len(row["instances"]) for row in self.experts.table()) < len(SERVERS) - 1:
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End everything."""
        await self.agent.aclose()
        await self._discovery.aclose()
        await self.experts.aclose()
        if self.own is not None:
            await self.own.aclose()
        for proxy in self.proxies.values():
            await proxy.stop()
        for server in self.servers.values():
            await server.kill()

    async def ask(self, conversation: str, text: str) -> Turn:
        """One turn."""
        progress = TurnProgress(conversation)
        started = time.monotonic()
        said = "".join([piece async for piece in self.agent.respond(conversation, text, "typed", progress)])
        seconds = time.monotonic() - started
        failed = any(e.conversation == conversation for e in self.sink.of(ErrorSpoken))
        self.sink.events = [e for e in self.sink.events if e.conversation != conversation]
        calls = sum(1 for tool in self.tools for _, context in tool.calls if context.turn == progress.id)
        return Turn(said.strip(), seconds, calls, failed)

    def at_work(self) -> list[str]:
        """The servers that write an answer now."""
        instances = [i for pool in self.experts.stand_ins() for i in pool.instances]
        if self.own is not None:
            instances.append(self.own)
        busy = {i.registration.address for i in instances if i.running}
        return [name for name, proxy in self.proxies.items() if f"{proxy.host}:{proxy.port}" in busy]

    def _connect(self, registration: Registration) -> Instance:
        model = GreedyModel(registration.url)
        breaker = CircuitBreaker(most_s=2.0) if registration.expert == "own" else None
        return Instance(registration, model, ServerProbe(registration.url), breaker=breaker)


_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def _next(host: str) -> str:
    front, _, last = host.rpartition(".")
    return f"{front}.{int(last) + 1}"


class Trouble:
    """Breaks things at random moments and mends them later, as supervisors and people do."""

    def __init__(self, house: FailoverStage, chance: random.Random) -> None:
        self._house = house
        self._chance = chance
        self._mending: set[asyncio.Task[None]] = set()
        self._electing = False
        self.done: Counter[str] = Counter()

    async def strike(self, within_s: float, faults: list[str]) -> None:
        """Wait for the moment, then break something; ``faults`` is told what."""
        await asyncio.sleep(self._chance.uniform(0, within_s))
        fault = self._chance.choice(FAULTS)
        if fault == "leader loss":
            broken = await self._leader_loss()
        else:
            busy = self._house.at_work()
            aimed = busy and self._chance.random() < AIMED
            broken = await self._break(self._chance.choice(busy if aimed else sorted(SERVERS)), fault)
        if broken:
            self.done[fault] += 1
            faults.append(fault)

    async def mended(self) -> None:
        """Wait until everything is up again."""
        while self._mending:
            await asyncio.wait(set(self._mending))

    async def _break(self, name: str, fault: str) -> bool:
        server = self._house.servers[name]
        if fault == "reset":
            return self._house.proxies[name].reset() > 0
        # A house in which more than half of the servers are down at once is another test.
        if not server.running or sum(not s.running for s in self._house.servers.values()) >= len(SERVERS) // 2:
            return False
        if fault == "kill -9":
            await server.kill()
            self._later(self._chance.uniform(1, 3), server.start)
        else:
            await server.freeze()
            self._later(self._chance.uniform(2, 8), server.thaw)
        return True

    async def _leader_loss(self) -> bool:
        if self._electing:
            return False
        self._electing = True
        leader = await self._house.consul[1].leader() or await self._house.consul[2].leader()
        victim = next((agent for agent in self._house.consul if leader.startswith(f"{agent.host}:")), None)
        if victim is None:
            self._electing = False
            return False
        await victim.stop()

        async def back() -> None:
            await victim.start()
            await victim.ready()
            await asyncio.sleep(10)  # a server that comes back may not vote at once: the next loss would be a real one
            self._electing = False

        self._later(self._chance.uniform(2, 4), back)
        return True

    def _later(self, seconds: float, mend: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            await mend()

        task = asyncio.create_task(wait())
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)


def repeated(said: str, wanted: str) -> bool:
    """Whether something was spoken twice that the undisturbed answer says once."""
    words, reference = said.lower().split(), wanted.lower().split()

    def runs(of: list[str], length: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(of[i : i + length]) for i in range(len(of) - length + 1))

    known = runs(reference, 3)
    if any(count > max(1, known[run]) for run, count in runs(words, 3).items()):
        return True
    return any(one == two and (one, two) not in runs(reference, 2) for one, two in pairwise(words))


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[FailoverStage]:
    """A house with everything up."""
    async with AsyncExitStack() as stack:
        built = FailoverStage(folder, await stack.enter_async_context(consul_servers(folder / "consul", CONSUL)))
        stack.push_async_callback(built.stop)
        await built.start()
        yield built


async def undisturbed(home: FailoverStage) -> list[list[Turn]]:
    """Every talk when nothing fails; twice, for its times and to see that answers are always the same."""
    found = [[await home.ask(f"calm-{n}", text) for text in talk] for n, talk in enumerate(TALKS)]
    again = [[await home.ask(f"again-{n}", text) for text in talk] for n, talk in enumerate(TALKS)]
    for one, other in zip(chain(*found), chain(*again), strict=True):
        if one.said != other.said or one.failed:
            raise RuntimeError(f"undisturbed answers differ: {one.said!r} and {other.said!r}")
        one.seconds = statistics.mean((one.seconds, other.seconds))
    return found


async def measure(turns: int, seed: int) -> dict[str, Any]:
    """Everything; prints the table."""
    chance = random.Random(seed)
    asked: list[tuple[Turn, Turn]] = []
    with tempfile.TemporaryDirectory() as name:
        async with house(Path(name)) as home:
            calm = await undisturbed(home)
            trouble = Trouble(home, chance)
            longest = max(turn.seconds for talk in calm for turn in talk)
            print(f"undisturbed: {statistics.median(t.seconds for talk in calm for t in talk):.2f} s a turn (median)")

            async def worker(number: int) -> None:
                round_ = 0
                while len(asked) < turns:
                    which = chance.randrange(len(TALKS))
                    round_ += 1
                    for text, wanted in zip(TALKS[which], calm[which], strict=True):
                        faults: list[str] = []
                        strike = None
                        if chance.random() < DISTURBED:
                            strike = asyncio.create_task(trouble.strike(longest, faults))
                        turn = await home.ask(f"talk-{number}-{round_}", text)
                        if strike is not None:
                            await strike
                        turn.faults = faults
                        asked.append((turn, wanted))
                        if turn.said != wanted.said:
                            logging.getLogger("failover").info("said %r, not %r", turn.said, wanted.said)

            await asyncio.gather(*(worker(number) for number in range(WORKERS)))
            await trouble.mended()
    return _report(asked, trouble.done)


def _report(asked: Sequence[tuple[Turn, Turn]], done: Counter[str]) -> dict[str, Any]:
    def row(some: Sequence[tuple[Turn, Turn]]) -> tuple[int, int, int, int, int, float, float]:
        completed = sum(not t.failed and (t.said == w.said or t.said.endswith((".", "!", "?"))) for t, w in some)
        duplicated = sum(t.calls > w.calls for t, w in some)
        repeats = sum(repeated(t.said, w.said) for t, w in some)
        differs = sum(t.said != w.said for t, w in some)
        added = [max(0.0, t.seconds - w.seconds) for t, w in some]
        return len(some), completed, duplicated, repeats, differs, percentile(added, 0.5), percentile(added, 0.95)

    print(f"{'':16}{'faults':>7}{'turns':>7}{'whole':>7}{'tool twice':>12}{'said twice':>12}{'other words':>13}"
          f"{'added p50':>11}{'p95':>8}")  # fmt: skip
    groups = [(fault, done[fault], [pair for pair in asked if fault in pair[0].faults]) for fault in FAULTS]
    groups.append(("left alone", 0, [pair for pair in asked if not pair[0].faults]))
    groups.append(("all", sum(done.values()), list(asked)))
    for name, faults, some in groups:
        count, completed, duplicated, repeats, differs, p50, p95 = row(some)
        print(
            f"{name:16}{faults:7}{count:7}{completed:7}{duplicated:12}{repeats:12}{differs:13}{p50:10.2f}s{p95:7.2f}s"
        )
    count, completed, duplicated, repeats, differs, _, p95 = row(asked)
    hit = row([pair for pair in asked if pair[0].faults])
    return {
        "turns": count,
        "completed": round(completed / count, 4),
        "duplicated": duplicated,
        "repeats": repeats,
        "p95_added_s": round(p95, 2),
        "p95_added_disturbed_s": round(hit[6], 2),
        "max_added_s": round(max(t.seconds - w.seconds for t, w in asked), 2),
        "other_words": differs,
        "faults": dict(done),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench failover", description=__doc__)
    parser.add_argument("--turns", type=int, default=300, help="requests to answer while things break")
    parser.add_argument("--seed", type=int, default=None, help="of the chance; default: another one every time")
    parser.add_argument("--verbose", action="store_true", help="tell what fails and who takes over")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.ERROR, format="%(asctime)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    started = time.monotonic()
    result = asyncio.run(measure(arguments.turns, seed))
    print(f"seed {seed}, took {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
