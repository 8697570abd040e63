"""Prometheus metrics, counted from the same events that the page shows."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import Info as BuildInfo

from pipecatapp.events import (
    AssistantMessage,
    ErrorSpoken,
    Event,
    ExpertsChanged,
    HealthChanged,
    ToolFinished,
    TurnFinished,
    UserMessage,
)

# Seconds. An old PC may need half a minute for a first token, a good one a tenth of a second.
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)

MAX_TOOLS = 100

_POWER_GAUGES = (
    ("state", "1: the state that the service is in.", ["service", "state"]),
    ("cpu_seconds", "Seconds of a core today: used, and saved by sleeping.", ["service", "kind"]),
    ("ram_gb_hours", "Gigabytes of memory times hours today: used, and saved by sleeping.", ["service", "kind"]),
    ("watt_hours", "Watt hours today: used, and saved by sleeping.", ["service", "kind", "by"]),
)


class Metrics:
    """Counts what happens; ``observe`` is a listener of the hub, ``text`` is the answer of ``/metrics``."""

    def __init__(self, *, version: str, pages: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._tool_names: set[str] = set()
        build = BuildInfo("pipecatapp_build", "What runs here.", registry=registry)
        build.info({"version": version, "python": platform.python_version(), "machine": platform.machine()})
        self._requests = Counter("pipecatapp_requests", "Requests by how they came in.", ["source"], registry=registry)
        self._turns = Counter("pipecatapp_turns", "Answers by how they ended.", ["outcome"], registry=registry)
        self._errors = Counter("pipecatapp_errors", "Errors that were told to the person.", ["kind"], registry=registry)
        self._tools = Counter("pipecatapp_tool_calls", "Tool calls.", ["tool", "outcome"], registry=registry)
        self._tool_seconds = Histogram(
            "pipecatapp_tool_seconds", "Seconds a tool took.", ["tool"], buckets=BUCKETS, registry=registry
        )
        self._tokens = Counter("pipecatapp_tokens", "Tokens by what they cost.", ["kind"], registry=registry)
        self._latency = Histogram(
            "pipecatapp_latency_seconds",
            "Seconds of each step of a turn.",
            ["step"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._health = Gauge("pipecatapp_component_ok", "1: the component works.", ["component"], registry=registry)
        self._expert_turns = Counter(
            "pipecatapp_expert_turns", "Answers that an expert gave.", ["expert"], registry=registry
        )
        labels = ["expert", "instance"]
        self._expert_up = Gauge(
            "pipecatapp_expert_up", "1: the instance may be asked (its breaker is closed).", labels, registry=registry
        )
        self._expert_busy = Gauge(
            "pipecatapp_expert_busy", "Requests that the instance works on.", labels, registry=registry
        )
        self._expert_failures = Gauge(
            "pipecatapp_expert_failures", "How often the instance failed since it was found.", labels, registry=registry
        )
        self._power = {
            name: Gauge(f"pipecatapp_power_{name}", text, labels, registry=registry)
            for name, text, labels in _POWER_GAUGES
        }
        self._voice = Gauge("pipecatapp_voice_sessions", "Browsers that talk now.", registry=registry)
        Gauge("pipecatapp_pages", "Pages that are open now.", registry=registry).set_function(pages)

    def observe(self, event: Event) -> None:
        """Count one event."""
        match event:
            case UserMessage():
                self._requests.labels(event.source).inc()
            case AssistantMessage():
                self._turns.labels("interrupted" if event.interrupted else "answered").inc()
                if event.expert:
                    self._expert_turns.labels(event.expert).inc()
            case ErrorSpoken():
                self._errors.labels(event.kind).inc()
            case ToolFinished():
                tool = self._tool_label(event.tool)
                self._tools.labels(tool, "ok" if event.ok else "failed").inc()
                self._tool_seconds.labels(tool).observe(event.seconds)
            case HealthChanged():
                self._health.labels(event.component).set(1 if event.ok else 0)
            case ExpertsChanged():
                self._show_experts(event)
            case TurnFinished():
                self._add_cost(event)

    def count_api_request(self) -> None:
        """A client asked over the OpenAI-compatible API (it tells no events)."""
        self._requests.labels("api").inc()

    def count_voice_session(self, change: int) -> None:
        """A voice session began (1) or ended (-1)."""
        self._voice.inc(change)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _tool_label(self, name: str) -> str:
        """The tool's name; models also invent names, and each new label would stay for ever."""
        if len(self._tool_names) < MAX_TOOLS:
            self._tool_names.add(name)
        return name if name in self._tool_names else "other"

    def _show_experts(self, event: ExpertsChanged) -> None:
        """The instances that are there now; those that are gone leave no trace."""
        gauges = (self._expert_up, self._expert_busy, self._expert_failures)
        for gauge in gauges:
            gauge.clear()
        for expert in event.experts:
            for instance in expert["instances"]:
                values = (instance["state"] == "closed", instance["busy"], instance["failures"])
                for gauge, value in zip(gauges, values, strict=True):
                    gauge.labels(expert["name"], instance["id"]).set(value)

    def show_power(self, services: Sequence[Mapping[str, Any]]) -> None:
        """What the power agent says of the services of this machine, today."""
        for gauge in self._power.values():
            gauge.clear()
        for service in services:
            name, days = str(service["service"]), service.get("days") or {}
            self._power["state"].labels(name, str(service["state"])).set(1)
            if not days:
                continue
            day = days[max(days)]
            for kind, before in (("used", ""), ("saved", "saved_")):
                self._power["cpu_seconds"].labels(name, kind).set(day[f"{before}cpu_s"])
                self._power["ram_gb_hours"].labels(name, kind).set(day[f"{before}ram_gb_h"])
                by = "estimate" if day["estimated"] or before else "rapl"
                self._power["watt_hours"].labels(name, kind, by).set(day[f"{before}wh"])

    def _add_cost(self, event: TurnFinished) -> None:
        steps = {
            "stt": event.stt_s,
            "first_token": event.first_token_s,
            "first_audio": event.first_audio_s,
            "total": event.total_s,
        }
        for step, seconds in steps.items():
            if seconds is not None:
                self._latency.labels(step).observe(seconds)
        self._tokens.labels("evaluated").inc(event.evaluated_tokens)
        self._tokens.labels("cached").inc(event.cached_tokens)
        self._tokens.labels("generated").inc(event.generated_tokens)
