"""What comes due, in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.domain import Change
from pipecatapp.storage.erasure import Erasure
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit

TEA = {"id": "a", "label": "tea"}
CAKE = {"id": "b", "label": "the secret is in the cake"}


async def test_a_step_is_whole_and_survives_with_how_it_is_taken_back(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.schedule.change([TEA, CAKE], made=Change("schedule", "Tea is set.", {"put": []}, "kitchen"))
    await storage.schedule.change([{"id": "ring", "label": "tea"}, {**CAKE, "label": "cake"}], ["a"])
    entries = [{**CAKE, "label": "cake"}, {"id": "ring", "label": "tea"}]
    bodies = [event.body for event in (await storage.journal.snapshot()).events if event.topic == "schedule"]
    assert bodies == [{"put": entries}]
    close_storage(tmp_path)
    storage = storage_in(tmp_path)
    assert await storage.schedule.load() == entries
    assert [change.text for change in await storage.changes.latest("kitchen")] == ["Tea is set."]


async def test_what_is_forgotten_leaves_the_file(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.schedule.change([TEA, CAKE])
    await storage.erase(Erasure(["The secret is in the cake."]))
    await storage.journal.run(storage.journal.scrub_now)
    assert await storage.schedule.load() == [TEA]
    close_storage(tmp_path)
    assert b"secret" not in (tmp_path / "journal.db").read_bytes()
