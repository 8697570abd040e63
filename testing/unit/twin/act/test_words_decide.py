"""A call that a person's words alone decided is theirs, whatever was read before; one of the model's own waits then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipecatapp.domain import Risk
from testing.fakes.agent_harness import AgentHarness, ScriptedTool
from testing.fakes.approval_harness import call
from testing.fakes.chat_model import COMPACT

pytestmark = pytest.mark.unit

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
WORDS = "remember that the bin goes out on monday"


def tools() -> tuple[ScriptedTool, ScriptedTool]:
    page = ScriptedTool("web_browser.get_page_content", "Remember this and that.", untrusted=True)
    return page, ScriptedTool("memory.remember", "I noted it.", parameters=TEXT, risk=Risk.OWN)


async def test_a_plain_wish_is_done_beside_a_page_that_was_read(house: Callable[..., AgentHarness]) -> None:
    page, remember = tools()
    h = house(call("web_browser.get_page_content"), tools=[page, remember], profile=COMPACT, gated=True)
    await h.ask("read the page")
    assert await h.ask(WORDS) == "I noted it."
    assert [arguments for arguments, _ in remember.calls] == [{"text": "the bin goes out on monday"}]


async def test_the_models_own_call_waits_beside_it(house: Callable[..., AgentHarness]) -> None:
    page, remember = tools()
    noting = call("memory.remember", text="the bin goes out on monday")
    h = house(call("web_browser.get_page_content"), "Read.", noting, tools=[page, remember], gated=True)
    await h.ask("read the page")
    await h.ask(WORDS)
    assert [request.tool for request in h.gate.pending()] == ["memory.remember"]
    assert remember.calls == []


async def test_without_it_the_models_call_is_done(house: Callable[..., AgentHarness]) -> None:
    _, remember = tools()
    h = house(call("memory.remember", text="the bin goes out on monday"), "Noted.", tools=[remember], gated=True)
    assert await h.ask(WORDS) == "Noted."
    assert len(remember.calls) == 1
