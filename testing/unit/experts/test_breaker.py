"""The breaker: closed, open for longer and longer, one probe, closed again."""

from __future__ import annotations

import pytest

from pipecatapp.experts.breaker import CircuitBreaker
from testing.fakes.experts import Clock

pytestmark = pytest.mark.unit


def test_one_failure_opens_it_and_one_probe_may_go_after_its_pause() -> None:
    clock = Clock()
    breaker = CircuitBreaker(1.0, 10.0, clock)
    assert breaker.allows
    breaker.fail("it is gone")
    assert (breaker.allows, breaker.state, breaker.reason) == (False, "open", "it is gone")
    assert not breaker.probe()
    clock.now += 1.0
    assert breaker.probe()
    assert (breaker.state, breaker.allows) == ("half-open", False)
    assert not breaker.probe()
    breaker.succeed()
    assert (breaker.state, breaker.reason, breaker.allows) == ("closed", "", True)


def test_each_further_failure_doubles_the_pause_up_to_the_longest() -> None:
    clock = Clock()
    breaker = CircuitBreaker(1.0, 10.0, clock)
    pauses = []
    for _ in range(6):
        breaker.fail("again")
        pauses.append(breaker.wait_s)
        clock.now += breaker.wait_s
        assert breaker.probe()
    assert pauses == [1, 2, 4, 8, 10, 10]
    breaker.succeed()
    breaker.fail("once more")
    assert breaker.wait_s == 1


def test_a_server_that_only_starts_is_looked_at_soon() -> None:
    breaker = CircuitBreaker(1.0, 10.0, Clock())
    for _ in range(5):
        breaker.fail("loading", soon=True)
    assert breaker.wait_s == 1
