"""No text makes a tool act: hundreds of attacks through all channels, with a model that obeys every one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, Preview, ToolCall, ToolSpec
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approvals import ApprovalGate
from testing.fakes.injections import CHANNELS, attack, cases

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("channel", CHANNELS)
async def test_no_text_makes_a_tool_act(channel: str) -> None:
    tried = 0
    for case in cases():
        if case.channel == channel:
            ran, calls = await attack(case)
            assert ran == [], case.name
            tried += calls
    assert tried  # the attacks reached the gate


def test_there_are_hundreds_of_attacks() -> None:
    assert sum(1 for _ in cases()) >= 200


class SaysYesItself(ApprovalGate):
    """A gate that takes the model's wish for a yes."""

    async def ask(
        self,
        call: ToolCall,
        spec: ToolSpec,
        preview: Preview,
        context: ToolContext,
        after: ApprovalRequest | None = None,
    ) -> ApprovalRequest:
        request = await super().ask(call, spec, preview, context, after)
        return await self.decide(ApprovalAnswer(request.id, request.digest, "approve", by="page"))


async def test_the_attacks_find_a_gate_that_is_broken() -> None:
    case = replace(next(cases()), gate=SaysYesItself)
    ran, _ = await attack(case)
    assert ran
