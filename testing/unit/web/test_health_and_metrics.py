"""What is watched, what is told, what is counted."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from pipecatapp.domain import ComponentHealth
from pipecatapp.events import (
    AssistantMessage,
    ErrorSpoken,
    HealthChanged,
    LogLine,
    ToolFinished,
    TurnFinished,
    UserMessage,
)
from pipecatapp.web.health import HealthBoard, can_answer
from pipecatapp.web.hosts import parse_proxies
from pipecatapp.web.logs import EventLogHandler, RepeatFilter
from pipecatapp.web.metrics import MAX_TOOLS, Metrics
from pipecatapp.web.routes import health
from pipecatapp.web.services import WebServices
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.unit


class Component:
    """``ports.HealthSource`` that answers as the test says."""

    def __init__(self, answer: ComponentHealth | Exception | None) -> None:
        self.answer = answer
        self.asked = 0

    async def health(self) -> ComponentHealth:
        self.asked += 1
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer


async def test_only_changes_are_told() -> None:
    engine, sink = Component(ComponentHealth("engine", ok=False, reason="loading", progress=0.5)), RecordingSink()
    board = HealthBoard({"engine": engine}, sink)

    await board.fresh(max_age_s=-1)
    await board.fresh(max_age_s=-1)
    engine.answer = ComponentHealth("engine", ok=True)
    await board.fresh(max_age_s=-1)

    assert [(event.ok, event.progress) for event in sink.of(HealthChanged)] == [(False, 0.5), (True, None)]


async def test_what_a_program_says_of_itself_stands_on_the_page() -> None:
    servers, sink = (
        Component(ComponentHealth("mcp", ok=False, reason="a: it ended", said="a: no disk")),
        RecordingSink(),
    )
    await HealthBoard({"mcp": servers}, sink).fresh(max_age_s=-1)
    assert [event.reason for event in sink.of(HealthChanged)] == ["a: it ended: a: no disk"]


async def test_what_is_not_vital_does_not_keep_the_agent_from_answering() -> None:
    camera = Component(ComponentHealth("vision", ok=False, reason="it hangs", vital=False))
    engine = Component(ComponentHealth("engine", ok=True))
    board = HealthBoard({"engine": engine, "vision": camera}, RecordingSink())
    states = await board.fresh(max_age_s=-1)
    assert [state.ok for state in states] == [True, False]
    assert can_answer(states)
    engine.answer = ComponentHealth("engine", ok=False)
    assert not can_answer(await board.fresh(max_age_s=-1))
    assert not can_answer([])


async def test_a_recent_answer_is_not_asked_for_again() -> None:
    engine = Component(ComponentHealth("engine", ok=True))
    board = HealthBoard({"engine": engine}, RecordingSink(), clock=lambda: 5.0)

    await asyncio.gather(*(board.fresh(1.0) for _ in range(10)))

    assert engine.asked == 1


async def test_a_component_that_fails_or_hangs_is_unwell_and_the_others_are_still_known() -> None:
    sources = {
        "engine": Component(None),
        "stt": Component(RuntimeError("no model")),
        "tts": Component(ComponentHealth("whatever", ok=True)),
    }
    board = HealthBoard(sources, RecordingSink(), timeout_s=0)

    states = {state.component: state for state in await board.fresh()}

    assert not states["engine"].ok
    assert "no answer" in states["engine"].reason
    assert states["stt"].reason == "RuntimeError: no model"


def counted(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_turns_tools_tokens_and_errors_are_counted() -> None:
    metrics = Metrics(version="1", pages=lambda: 3)
    common: dict[str, Any] = {"conversation": "c", "turn": "t"}
    for event in (
        UserMessage(**common, text="hi", source="voice"),
        AssistantMessage(**common, text="ho"),
        AssistantMessage(**common, text="h", interrupted=True),
        ToolFinished(**common, call_id="1", tool="clock.now", ok=False, text="", detail="", seconds=0.2),
        ErrorSpoken(conversation="c", kind="model", text="sorry"),
        HealthChanged(component="engine", ok=False, reason="gone"),
        TurnFinished(
            **common, stt_s=0.1, first_token_s=0.2, first_audio_s=None, total_s=0.4,
            prompt_tokens=50, cached_tokens=40, evaluated_tokens=10, generated_tokens=7,
        ),
    ):  # fmt: skip
        metrics.observe(event)
    metrics.count_voice_session(1)

    values = counted(metrics)

    assert values['pipecatapp_requests_total{source="voice"}'] == 1
    assert values['pipecatapp_turns_total{outcome="interrupted"}'] == 1
    assert values['pipecatapp_tool_calls_total{outcome="failed",tool="clock.now"}'] == 1
    assert values['pipecatapp_errors_total{kind="model"}'] == 1
    assert values['pipecatapp_component_ok{component="engine"}'] == 0
    assert values['pipecatapp_tokens_total{kind="cached"}'] == 40
    assert values['pipecatapp_latency_seconds_count{step="total"}'] == 1
    assert 'pipecatapp_latency_seconds_count{step="first_audio"}' not in values
    assert values["pipecatapp_pages"] == 3
    assert values["pipecatapp_voice_sessions"] == 1


def test_the_log_reaches_the_page_without_what_people_said() -> None:
    sink = RecordingSink()
    logger = logging.Logger("pipecatapp.test")
    logger.addHandler(EventLogHandler(sink))

    logger.info("heard %d words", 3, extra={"text": "my secret"})
    logger.debug("too small")

    assert sink.of(LogLine) == [LogLine(level="info", logger="pipecatapp.test", message="heard 3 words")]


def test_what_the_hub_logs_does_not_come_back_to_it() -> None:
    sink = RecordingSink()
    logger = logging.Logger("pipecatapp.hub")
    logger.addHandler(EventLogHandler(sink))

    logger.error("an event could not be handed on")

    assert sink.events == []


def test_invented_tool_names_do_not_fill_the_metrics() -> None:
    metrics = Metrics(version="1", pages=lambda: 0)
    for number in range(MAX_TOOLS * 3):
        name = f"invented.{number}"
        metrics.observe(
            ToolFinished(conversation="c", turn="t", call_id="1", tool=name, ok=False, text="", detail="", seconds=0.1)
        )
    counted = [line for line in metrics.text().decode().splitlines() if line.startswith("pipecatapp_tool_calls_total{")]
    assert len(counted) == MAX_TOOLS + 1
    assert any('tool="other"' in line and line.endswith(f" {MAX_TOOLS * 2}.0") for line in counted)


def test_a_line_that_comes_again_and_again_passes_a_few_times_and_is_then_counted() -> None:
    now = [0.0]
    few = RepeatFilter(most=2, window_s=60, clock=lambda: now[0])

    def passes(message: str, *arguments: object) -> str | None:
        record = logging.LogRecord("web", logging.WARNING, "", 0, message, arguments, None)
        return record.getMessage() if few.filter(record) else None

    assert [passes("bad request from %s", number) for number in range(4)] == [
        "bad request from 0",
        "bad request from 1",
        None,
        None,
    ]
    assert passes("another line, %d %%", 7) == "another line, 7 %"
    now[0] = 61.0
    assert passes("bad request from %s", "the %s end") == "bad request from the %s end (and 2 more before)"
    assert passes("bad request from %s", 9) == "bad request from 9"


@pytest.mark.parametrize(
    ("address", "role", "status"),
    [
        ("127.0.0.1", "active", 200),
        ("::1", "alone", 200),
        ("192.168.1.7", "active", 200),
        ("::ffff:192.168.1.7", "standby", 503),
        ("192.168.1.7", "cut_off", 503),
        ("192.168.2.7", "active", 404),
        ("fe80::1%eth0", "active", 404),
    ],
)
async def test_members_alone_learn_whether_requests_belong_here(address: str, role: str, status: int) -> None:
    services = SimpleNamespace(role=lambda: role, proxies=parse_proxies("192.168.1.0/24"))
    app = FastAPI()
    app.include_router(health.create_router(cast(WebServices, services)))
    transport = httpx.ASGITransport(app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://pc") as http:
        answer = await http.get("/active")
    assert answer.status_code == status
    if status != 404:
        assert answer.json() == {"role": role}
