"""Work in the background: it goes on, it is waited for, and a failure is in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pipecatapp.background import BackgroundTasks

pytestmark = pytest.mark.unit


async def test_it_is_waited_for_with_what_it_begins_itself() -> None:
    tasks, done = BackgroundTasks("it failed"), list[str]()

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        done.append(name)
        if name == "first":
            tasks.start(work("second"))

    tasks.start(work("first"))
    assert len(tasks) == 1
    await tasks.wait()
    assert (done, len(tasks)) == (["first", "second"], 0)


async def test_a_failure_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no room")

    tasks = BackgroundTasks("storing a turn failed")
    tasks.start(fail())
    await tasks.wait()
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "storing a turn failed")
    assert record.exc_info is not None
    assert "no room" in str(record.exc_info[1])


async def test_cancelling_ends_also_what_has_not_begun() -> None:
    began = list[str]()

    async def work() -> None:
        began.append("yes")
        await asyncio.Event().wait()

    tasks = BackgroundTasks("it failed")
    tasks.start(work())
    await asyncio.sleep(0)
    tasks.start(work())
    await tasks.cancel()
    assert (began, len(tasks)) == (["yes"], 0)
