"""What all tests share: the order of the kinds, the rule that a test declares one, the summary by kind, the workers."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing import by_kind
from testing.by_kind import KINDS

# Seconds before a test is ended, where it does not say otherwise: emulation and downloads take their time.
TIMEOUTS_S = {"oldcpu": 600, "provision": 1200, "lab": 900}

# Where scripts/test has the runs of several kinds remember each other; not for what the tests start.
REMEMBERED = os.environ.pop("PIPECATAPP_TESTS_BY_KIND", "")

# An exported core type of another machine makes every numpy die on this one.
os.environ.pop("OPENBLAS_CORETYPE", None)


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    """No test leaves its storage open or another umask; a connection that it leaves is its own failure, and not that
    of the test in whose time Python happens to clear it away."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    if (storage := sys.modules.get("testing.fakes.storage")) is not None:
        storage.close_storage()
    gc.collect()
    left = os.umask(umask)
    assert left == umask, f"the test leaves the umask {left:04o}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    # What was imported stays: Python need not look through it again after every test.
    gc.collect()
    gc.freeze()


def kind_of(item: pytest.Item) -> str:
    """The one kind that the item declares; a usage error when it declares none or several."""
    declared = [kind for kind in KINDS if item.get_closest_marker(kind)]
    if len(declared) != 1:
        named = ", ".join(declared) or "none"
        raise pytest.UsageError(f"{item.nodeid} must declare one of {', '.join(KINDS)} in pytestmark (found: {named})")
    return declared[0]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Most tests wait most of the time: two more than there are processors."""
    return 0 if config.option.usepdb else (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Among workers the long files come first, or one of them would be alone at the end.
    items.sort(key=lambda item: KINDS.index(kind_of(item)), reverse=hasattr(config, "workerinput"))
    for item in items:
        kind = kind_of(item)
        item.user_properties.append(("kind", kind))
        if kind in TIMEOUTS_S and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUTS_S[kind]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    own = by_kind.tallies_of(terminalreporter.stats)
    table = by_kind.remembered(Path(REMEMBERED), own) if REMEMBERED else own
    if not table:
        return
    terminalreporter.section("by kind")
    for line in by_kind.lines(table, [line for tally in own.values() for line in tally.wrong]):
        terminalreporter.write_line(line)
