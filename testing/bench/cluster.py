"""A house whose programs are killed, frozen and cut off while people talk to it: what is answered, kept, done twice.

On loopback, as real as that can be: three servers of NATS and three of Consul, two whole agents, Debian's haproxy with
the role's configuration. A scripted household asks by typing, through the proxy: it has things noted, put on a list,
timed and reckoned. No language model runs; the reflex answers. One fault at a time, the next when everybody is back.

A request counts as answered where the whole answer comes within 30 s of asking; one that gets none is asked again, as a
person does, unless the page shows by then that it was done. Not among the faults: Nomad, a full disk, a jumping clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from testing.house_programs import House, running_house

_ANSWERED_S, _ATTEMPT_S, _PACE_S = 30.0, 12.0, 0.5
_LIMITS = httpx.Limits(max_keepalive_connections=0)
# What a person does not wait for again.
_AWAY = (OSError, TimeoutError, WebSocketException, httpx.HTTPError)


@dataclass(frozen=True, slots=True)
class Wish:
    """One request. ``answer``: what the whole answer says; ``kept``: what must then be there, empty: nothing."""

    text: str
    answer: str
    kept: str = ""


@dataclass(slots=True)
class Result:
    """What came of one fault."""

    fault: str
    gap_s: float
    asked: int
    answered: int
    lost: int
    doubled: int


@dataclass(slots=True)
class Household:
    """Asks, one request after the other, and remembers what it was promised."""

    house: House
    number: int = 100  # of three digits from the first on: all are understood alike
    asked: int = 0
    answered: int = 0
    promised: list[str] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)  # asked at, answered at
    unanswered: list[str] = field(default_factory=list)

    def next_wish(self) -> Wish:
        """Another one each time."""
        self.number += 1
        n = self.number
        match n % 8:
            case 0:
                return Wish(f"set a timer named batch {n} for 5 hours", f"batch {n} timer is set", f"batch {n} timer")
            case 2 | 5:
                return Wish(f"add screw number {n} to the shopping list", "on the shopping list", f"screw number {n}")
            case 1 | 4 | 6:
                return Wish(f"remember that box {n} is in the cellar", f"box {n} is in", f"box {n} is in the cellar")
        return Wish(f"what is {n} times 17", f"{n * 17:,}.")

    async def talk(self) -> None:
        """Ask until it is ended."""
        while True:
            wish, began = self.next_wish(), time.monotonic()
            answered = await self._insist(wish, began)
            self.asked += 1
            if answered:
                self.answered += 1
                self.answers.append((began, time.monotonic()))
                if wish.kept:
                    self.promised.append(wish.kept)
            else:
                self.unanswered.append(wish.text)
            await asyncio.sleep(_PACE_S)

    def counted(self) -> tuple[int, int]:
        """How many requests are over since the last time, and how many of them were answered."""
        counts, self.asked, self.answered = (self.asked, self.answered), 0, 0
        return counts

    async def _insist(self, wish: Wish, began: float) -> bool:
        again = False
        while (left := began + _ANSWERED_S - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, _ATTEMPT_S)):
                    if again and wish.kept and wish.kept in await self.there():
                        return True
                    if wish.answer in await self._ask(wish.text):
                        return True
            except _AWAY:
                pass
            again = True
            await asyncio.sleep(0.3)
        return False

    async def _ask(self, text: str) -> str:
        """What is answered, whole."""
        conversation = f"kitchen-{self.number}"
        url = f"{self.house.url.replace('http', 'ws', 1)}/ws?conversation={conversation}"
        async with connect(url, additional_headers=self.house.headers, proxy=None) as socket:
            turn = ""
            async with self._http() as http:
                said = await http.post("/api/messages", json={"conversation": conversation, "text": text})
                turn = str(said.raise_for_status().json()["turn"])
            while True:
                event = json.loads(await socket.recv())
                if event["type"] == "assistant" and event.get("turn") == turn:
                    return str(event["text"])

    async def there(self) -> Counter[str]:
        """Everything that the page shows as kept, and how often."""
        async with self._http() as http:
            lists = (await http.get("/api/lists")).raise_for_status().json()["lists"]
            due = (await http.get("/api/schedule")).raise_for_status().json()["items"]
            facts: list[dict[str, Any]] = []
            while True:
                page = await http.get("/api/memory", params={"limit": 500, "offset": len(facts)})
                facts += (got := page.raise_for_status().json()["facts"])
                if len(got) < 500:
                    break
        items = [item["text"] for each in lists for item in each["items"]]
        return Counter([*items, *(_timer(each["name"]) for each in due), *(fact["text"] for fact in facts)])

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.house.url, headers=self.house.headers, trust_env=False, timeout=5, limits=_LIMITS
        )

    async def account(self) -> tuple[int, int]:
        """How many promises are not kept, and how many are kept twice; those are not asked for again."""
        before = list(self.promised)
        there = await self.there()
        lost = [kept for kept in before if not there[kept]]
        doubled = [kept for kept in before if there[kept] > 1]
        self.promised = [kept for kept in self.promised if kept not in {*lost, *doubled}]
        for kept in (*lost, *doubled):
            print(f"  {'lost' if kept in lost else 'doubled'}: {kept}", file=sys.stderr)
        await self._tidy()
        return len(lost), len(doubled)

    async def _tidy(self) -> None:
        """Take timers away that were seen: there may be 50 at most."""
        async with self._http() as http:
            items = (await http.get("/api/schedule")).raise_for_status().json()["items"]
            for item in [each for each in items if _timer(each["name"]) in self.promised][:-5]:
                (await http.delete(f"/api/schedule/{item['id']}")).raise_for_status()
                self.promised.remove(_timer(item["name"]))


def _timer(name: str) -> str:
    """A timer's name without the order that tells two of one name apart."""
    return " ".join(name.split()[-3:])


# The faults, each with what mends it.


async def _kill_active(house: House, chance: random.Random) -> None:
    agent = house.agents[await house.active()]
    await agent.kill()
    await asyncio.sleep(1)
    await agent.start()


async def _kill_standby(house: House, chance: random.Random) -> None:
    active = await house.active()
    (agent,) = [agent for name, agent in house.agents.items() if name != active]
    await agent.kill()
    await asyncio.sleep(1)
    await agent.start()


async def _freeze_active(house: House, chance: random.Random) -> None:
    agent = house.agents[await house.active()]
    agent.freeze()
    await asyncio.sleep(15)
    agent.go_on()


async def _kill_nats(house: House, chance: random.Random) -> None:
    for server in (hit := chance.sample(house.nats.servers, chance.choice([1, 1, 1, 3]))):
        await server.stop()
    await asyncio.sleep(chance.uniform(0, 2))
    for server in hit:
        await server.start()
    for server in hit:
        await server.ready()


async def _cut_off_nats(house: House, chance: random.Random) -> None:
    server = chance.choice(house.nats.servers)
    server.pause()
    await asyncio.sleep(12)
    server.go_on()
    await server.ready()


async def _kill_consul(house: House, chance: random.Random) -> None:
    agent = chance.choice(house.consul)
    await agent.stop()
    await asyncio.sleep(2)
    await agent.start()
    await agent.ready()


async def _kill_proxy(house: House, chance: random.Random) -> None:
    await house.proxy.kill()
    await asyncio.sleep(1)  # as systemd starts it again
    await house.proxy.start()


FAULTS: dict[str, Callable[[House, random.Random], Awaitable[None]]] = {
    "kill -9 of the active agent": _kill_active,
    "kill -9 of the standby": _kill_standby,
    "active agent frozen": _freeze_active,
    "kill -9 of NATS": _kill_nats,
    "NATS cut off": _cut_off_nats,
    "kill -9 of Consul": _kill_consul,
    "kill -9 of the proxy": _kill_proxy,
}


def plan(faults: int, seed: int) -> list[str]:
    """Which faults, in which order: all kinds equally often, shuffled."""
    kinds = list(FAULTS)
    chosen = [kinds[number % len(kinds)] for number in range(faults)]
    random.Random(seed).shuffle(chosen)
    return chosen


async def measure(faults: int, seed: int, done: list[Result], note: Callable[[Result], None]) -> None:
    """Do the faults that are not done yet."""
    with tempfile.TemporaryDirectory(prefix="cluster-bench-") as name:
        async with running_house(Path(name)) as house:
            household = Household(house)
            talking = asyncio.create_task(household.talk())
            try:
                for number, fault in list(enumerate(plan(faults, seed)))[len(done) :]:
                    note(await _one(house, household, fault, random.Random(seed * 10_007 + number)))
            finally:
                talking.cancel()
                await asyncio.gather(talking, return_exceptions=True)


async def _one(house: House, household: Household, fault: str, chance: random.Random) -> Result:
    await asyncio.sleep(chance.uniform(1, 4))
    began = time.monotonic()
    await FAULTS[fault](house, chance)
    await house.whole()
    async with asyncio.timeout(120):
        while not any(at >= began for at, _ in household.answers):
            await asyncio.sleep(0.1)
    gap_s = min(then for at, then in household.answers if at >= began) - began
    lost, doubled = await household.account()
    for text in household.unanswered:
        print(f"  not answered in {_ANSWERED_S:g} s: {text}", file=sys.stderr)
    household.unanswered.clear()
    return Result(fault, round(gap_s, 2), *household.counted(), lost, doubled)


def report(done: list[Result]) -> dict[str, float]:
    """The table, and the keys."""
    print(f"{'':30}{'faults':>7}{'asked':>7}{'answered':>10}{'lost':>6}{'doubled':>9}{'gap p50':>9}{'max':>8}")
    for kind in [*FAULTS, "all"]:
        some = [each for each in done if kind in (each.fault, "all")]
        if some:
            gaps = [each.gap_s for each in some]
            asked, answered = sum(r.asked for r in some), sum(r.answered for r in some)
            lost, doubled = sum(r.lost for r in some), sum(r.doubled for r in some)
            print(f"{kind:30}{len(some):7}{asked:7}{answered:10}{lost:6}{doubled:9}{statistics.median(gaps):8.1f}s"
                  f"{max(gaps):7.1f}s")  # fmt: skip
    gaps = sorted(each.gap_s for each in done)
    asked = sum(each.asked for each in done)
    return {
        "faults": len(done),
        "answered": round(sum(each.answered for each in done) / max(1, asked), 4),
        "facts_lost": sum(each.lost for each in done),
        "doubled": sum(each.doubled for each in done),
        "p95_gap_s": gaps[min(len(gaps) - 1, round(0.95 * (len(gaps) - 1)))],
    }


def main() -> int:
    """Parse, measure, print; fails where something was lost or done twice."""
    parser = argparse.ArgumentParser(prog="scripts/bench cluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the chance (default: 1)")
    parser.add_argument("--resume", type=Path, help="a file for what is done; with it, a run goes on where it ended")
    options = parser.parse_args()
    done: list[Result] = []
    if options.resume is not None and options.resume.exists():
        done = [Result(**json.loads(line)) for line in options.resume.read_text().splitlines()]

    def note(result: Result) -> None:
        done.append(result)
        print(f"{len(done):4}  {result.fault:30} {result.gap_s:6.1f} s", file=sys.stderr, flush=True)
        if options.resume is not None:
            with options.resume.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    if len(done) < options.faults:
        asyncio.run(measure(options.faults, options.seed, done, note))
    figures = report(done)
    print(json.dumps(figures))
    return 1 if figures["facts_lost"] or figures["doubled"] else 0


if __name__ == "__main__":
    sys.exit(main())
