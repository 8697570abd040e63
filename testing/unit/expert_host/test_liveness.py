"""What the pulse asks of an engine, and how others know it."""

from __future__ import annotations

import json

import httpx
import pytest

from pipecatapp.expert_host.liveness import PULSE_ADDRESS, PULSE_SEED, Pulse, client
from power_agent import pulse as known

pytestmark = pytest.mark.unit


async def test_it_asks_for_one_token_in_a_way_that_the_power_agent_knows() -> None:
    asked: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"tokens_predicted": 1})

    http = client("10.0.0.1", 8200, "key", httpx.MockTransport(answer))
    async with Pulse(http, 3, lambda: 0.0) as pulse:
        await pulse.first_token(lambda: False, 10, 10)

    (body,) = asked
    assert (body["n_predict"], body["id_slot"], body["seed"]) == (1, 3, known.SEED)
    assert known.of_the_pulse({"params": {"seed": body["seed"]}})
    assert not known.of_the_pulse({"params": {"seed": 1}})
    assert not known.of_the_pulse({"id": 0})


def test_both_programs_know_the_same_signs() -> None:
    assert (PULSE_ADDRESS, PULSE_SEED) == (known.ADDRESS, known.SEED)
