"""What all tests share: the order of the kinds, the rule that a test declares one, the summary by kind."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator

import pytest

# The quick ones first: a mistake shows early.
KINDS = ("unit", "docs", "integration", "browser", "bench", "oldcpu", "provision", "lab")
# Seconds before a test is ended, where it does not say otherwise: emulation and downloads take their time.
TIMEOUTS_S = {"oldcpu": 600, "provision": 1200, "lab": 900}

# An exported core type of another machine makes every numpy die on this one.
os.environ.pop("OPENBLAS_CORETYPE", None)


@pytest.fixture(autouse=True)
def _close_storage() -> Iterator[None]:
    """No test leaves its storage open."""
    yield
    if (storage := sys.modules.get("testing.fakes.storage")) is not None:
        storage.close_storage()


def kind_of(item: pytest.Item) -> str:
    """The one kind that the item declares; a usage error when it declares none or several."""
    declared = [kind for kind in KINDS if item.get_closest_marker(kind)]
    if len(declared) != 1:
        named = ", ".join(declared) or "none"
        raise pytest.UsageError(f"{item.nodeid} must declare one of {', '.join(KINDS)} in pytestmark (found: {named})")
    return declared[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: KINDS.index(kind_of(item)))
    for item in items:
        kind = kind_of(item)
        item.user_properties.append(("kind", kind))
        if kind in TIMEOUTS_S and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUTS_S[kind]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    # The unnamed outcome holds set-up and tear-down that went well: no test of its own, but time.
    for outcome in ("passed", "failed", "error", "skipped", ""):
        for report in terminalreporter.stats.get(outcome, []):
            kind = dict(getattr(report, "user_properties", [])).get("kind")
            if kind is None:
                continue
            table[kind][outcome] += 1
            table[kind]["seconds"] += report.duration
    if not table:
        return
    terminalreporter.section("by kind")
    for kind in KINDS:
        if row := table.get(kind):
            counts = ", ".join(
                f"{row[name]:.0f} {name}" for name in ("passed", "failed", "error", "skipped") if row[name]
            )
            terminalreporter.write_line(f"{kind:<12} {counts:<40} {row['seconds']:7.1f} s")
