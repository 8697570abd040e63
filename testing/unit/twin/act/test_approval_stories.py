"""Ten thousand random lives of the gate: nothing runs without a yes to it, nothing twice, nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipecatapp.domain import ApprovalRequest, ApprovalState
from pipecatapp.twin.act.approvals import ApprovalGate
from testing.fakes.approval_stories import tell_stories

pytestmark = [pytest.mark.unit, pytest.mark.timeout(900)]  # a minute of work on two processors


def test_nothing_runs_without_a_yes_nothing_twice_and_nothing_hangs() -> None:
    verdict = tell_stories(10_000)
    assert verdict.details == []
    assert (verdict.without_yes, verdict.double, verdict.wedged) == (0, 0, 0)
    assert verdict.stories == 10_000
    # The stories are about something.
    assert verdict.executions > 2_000
    assert verdict.looks > 800
    assert verdict.after_looking > 60


class BelievesAnyDigest(ApprovalGate):
    """A gate that does not look which call was shown."""

    def _answerable(self, request_id: str, digest: str) -> ApprovalRequest:
        request = self.get(request_id)
        return super()._answerable(request_id, request.digest if request else digest)


class RunsWhatExpired(ApprovalGate):
    """A gate that takes silence for a yes."""

    async def expire(self) -> None:
        for request in self._records:
            if request.state is ApprovalState.PENDING and self._clock() >= request.expires_at:
                late = replace(request, expires_at=self._clock() + 60)  # or it would be too old to be carried out
                await self._settle(late, ApprovalState.APPROVED, "timeout")


class ForgetsThatItBegan(ApprovalGate):
    """A gate that writes nothing down before the tool runs."""

    async def begin(self, request_id: str) -> ApprovalRequest:
        request = self.get(request_id)
        assert request is not None
        return replace(request, state=ApprovalState.STARTED)


class RunsWhatIsToBeLookedAt(ApprovalGate):
    """A gate that takes a yes to looking for one to running."""

    async def begin(self, request_id: str) -> ApprovalRequest:
        request = await super().begin(request_id)
        return replace(request, preview=replace(request.preview, look=False))


class TellsNobody(ApprovalGate):
    """A gate whose decisions no turn ever goes on with."""

    def on_settled(self, tell: Callable[[ApprovalRequest], None]) -> None:
        """Nobody listens."""


@pytest.mark.parametrize(
    ("gate", "harm"),
    [
        (BelievesAnyDigest, "without_yes"),
        (RunsWhatExpired, "without_yes"),
        (ForgetsThatItBegan, "double"),
        (RunsWhatIsToBeLookedAt, "without_yes"),
        (TellsNobody, "wedged"),
    ],
)
def test_the_stories_find_a_gate_that_is_broken(gate: type[ApprovalGate], harm: str) -> None:
    assert getattr(tell_stories(400, gate=gate, processes=1), harm) > 0
