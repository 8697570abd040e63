"""An agent for each test of the brain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from testing.fakes.agent_harness import AgentHarness


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., AgentHarness]:
    """``house("answer", tools=[...])``: an agent whose model writes the answers."""
    return lambda *answers, **options: AgentHarness(tmp_path, *answers, **options)
