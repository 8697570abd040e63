"""The unit as a process, beside an agent's open journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from testing.fakes.node_admin import AgentJournal, Unit


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[AgentJournal]:
    (tmp_path / "agent").mkdir()
    made = AgentJournal(tmp_path / "agent")
    await made.journal.open()
    yield made
    await made.journal.close()


@pytest.fixture
def unit(tmp_path: Path, journal: AgentJournal) -> Iterator[Unit]:
    with Unit(tmp_path, journal.journal.path) as made:
        yield made
