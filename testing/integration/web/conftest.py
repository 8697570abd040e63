"""The real server on a free port, with the real brain; the model and the voice are scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from testing.fakes.mission import Mission


@pytest.fixture
async def mission(tmp_path: Path) -> AsyncIterator[Mission]:
    mission = Mission(tmp_path, tls=True)
    await mission.start()
    yield mission
    await mission.stop()


@pytest.fixture
async def http(mission: Mission) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token."""
    headers = {"authorization": f"Bearer {mission.token}"}
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as client:
        yield client
