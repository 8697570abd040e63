"""``say_again`` and ``what_can_you_do`` need no model."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.domain import Message, ToolSpec, Turn, TurnRecord
from pipecatapp.ports import ToolContext
from pipecatapp.tools.registry import TOOLS, spec_of
from pipecatapp.tools.talking import SayAgain, WhatCanYouDo
from testing.fakes.storage import storage_in

pytestmark = pytest.mark.unit

HERE = ToolContext("c", "t9")


async def test_the_last_answer_is_said_once_more(tmp_path: Path) -> None:
    store = storage_in(tmp_path).conversations
    tool = SayAgain(store)
    assert (await tool.run({}, HERE)).text == "I have not said anything here yet."
    for number, answer in enumerate(("It is noon.", "The pasta needs nine minutes.", "")):
        turn = Turn(f"t{number}", "?", answer, "voice", 0.0)
        await store.append("c", TurnRecord(turn, (Message("user", "?"), Message("assistant", answer))))
    assert (await tool.run({}, HERE)).text == "The pasta needs nine minutes."
    assert (await tool.run({}, ToolContext("another", "t9"))).text == "I have not said anything here yet."


async def test_what_is_on_is_named_once_and_what_is_off_is_not() -> None:
    tools = [spec_of(name) for name in ("timer.set", "timer.list", "list.add", "undo", "say_again")]
    tools.append(ToolSpec("garden.water", "Waters the garden."))
    result = await WhatCanYouDo(lambda: tools).run({}, HERE)
    assert result.text == (
        "I can set timers, keep your lists, take back what I changed and use a tool of another server. "
        "What acts on the world outside waits for your yes."
    )
    assert (await WhatCanYouDo(list).run({}, HERE)).text == "I can talk with you. No tool is on here."


async def test_every_tool_of_ours_has_its_words() -> None:
    result = await WhatCanYouDo(lambda: [spec_of(name) for name in TOOLS]).run({}, HERE)
    assert "other server" not in result.text
