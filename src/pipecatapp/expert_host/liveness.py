"""Does an engine make tokens? Its ``/health`` says yes also on a ring that lost a rank; a token does not lie.

Where requests are being worked on, their tokens are the proof: one of our own would wait behind them. Where nothing
happens, one token is asked for, in a slot that nobody else uses where the engine has one, so that no conversation loses
its cache to it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from pipecatapp.errors import EngineError

_COUNTER = re.compile(r"^llamacpp:(tokens_predicted_total|prompt_tokens_total|requests_processing)\s+([0-9.e+]+)", re.M)
# A request that is worked on for so long without a token counts as stuck: longer than any prompt takes to read.
STUCK_AFTER_S = 1800.0
# From where and with what a token of our own is asked for: the power agent takes it for nobody's (its ``pulse.py``), so
# that an expert whom nobody asks falls asleep. Only programs of the same machine can have this address.
PULSE_ADDRESS = "127.0.0.73"
PULSE_SEED = 0x50574D41


@dataclass(frozen=True, slots=True)
class Counters:
    """What the engine has counted since it started."""

    predicted: float = 0.0
    prompt: float = 0.0
    processing: float = 0.0


class Pulse:
    """Feels whether one engine makes tokens.

    Args:
        http: a client of the engine, with its key.
        slot: the slot of our own, None where the engine has none for us.
        clock: seconds that only go forward.
    """

    def __init__(self, http: httpx.AsyncClient, slot: int | None, clock: Callable[[], float]) -> None:
        self._http = http
        self._slot = slot
        self._clock = clock
        self._seen = Counters()
        self._moved = clock()
        self.busy = False

    async def __aenter__(self) -> Pulse:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._http.aclose()

    async def first_token(self, ended: Callable[[], bool], within_s: float, token_within_s: float) -> None:
        """Wait until it has loaded and made a token.

        Raises:
            EngineError: it refuses, or takes too long. Where ``ended`` says so it returns, and nothing was made.
        """
        deadline = self._clock() + within_s
        while not ended():
            left = deadline - self._clock()
            if left <= 0:
                raise EngineError(f"the engine has made no token {within_s:.0f} s after its start")
            if await self._token(max(token_within_s, min(left, within_s))):
                self._moved = self._clock()
                return
            await asyncio.sleep(0.2)

    async def feel(self, within_s: float) -> None:
        """One look.

        Raises:
            EngineError: it makes no tokens.
        """
        try:
            # Not from an HTTP thread but from the loop that computes: where that hangs, this does.
            counters = await self._count(within_s)
        except (httpx.HTTPError, TimeoutError) as error:
            raise EngineError(f"the engine has not said for {within_s:.0f} s what it does") from error
        self.busy = counters.processing > 0
        if (counters.predicted, counters.prompt) != (self._seen.predicted, self._seen.prompt):
            self._seen, self._moved = counters, self._clock()
            if counters.predicted > 0:
                return
        if self.busy:
            if self._clock() - self._moved > STUCK_AFTER_S:
                raise EngineError(f"the engine works on a request for {STUCK_AFTER_S:.0f} s and made no token of it")
            return
        if not await self._token(within_s):
            raise EngineError(f"the engine made no token in {within_s:.0f} s")
        # The token that was just made is none of somebody's.
        self._seen = await self._count(within_s)
        self._moved = self._clock()

    async def _count(self, within_s: float) -> Counters:
        async with asyncio.timeout(within_s):
            answer = (await self._http.get("/metrics")).raise_for_status()
        found = {name: float(value) for name, value in _COUNTER.findall(answer.text)}
        return Counters(
            found.get("tokens_predicted_total", 0.0),
            found.get("prompt_tokens_total", 0.0),
            found.get("requests_processing", 0.0),
        )

    async def _token(self, within_s: float) -> bool:
        """Whether it made one; False: it is not ready, or nobody is there."""
        body: dict[str, Any] = {"prompt": "a", "n_predict": 1, "temperature": 0, "cache_prompt": False}
        body["seed"] = PULSE_SEED  # at temperature 0 it decides nothing
        if self._slot is not None:
            body["id_slot"] = self._slot
        try:
            async with asyncio.timeout(within_s):
                answer = await self._http.post("/completion", json=body)
        except httpx.HTTPError:
            return False
        except TimeoutError as error:
            raise EngineError(f"the engine made no token in {within_s:.0f} s") from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        if answer.status_code != httpx.codes.OK:
            raise EngineError(f"the engine refuses a token: {answer.text[:300]}")
        try:
            return int(answer.json()["tokens_predicted"]) > 0
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError("the engine answers what no llama-server would") from error


def client(host: str, port: int, key: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client for the engine of this machine; it keeps no connection that the other side may close."""
    # IPv6 has one loopback address, which is everybody's: an engine on an address of that kind is seen to be asked.
    own, at = (None, f"[{host}]") if ":" in host else (PULSE_ADDRESS, host)
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(
        base_url=f"http://{at}:{port}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(None, connect=3.0),
        trust_env=False,
        limits=limits,
        transport=transport or httpx.AsyncHTTPTransport(limits=limits, local_address=own, trust_env=False),
    )
