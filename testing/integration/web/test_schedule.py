"""Timers, alarms and reminders over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

DAD = {"what": "call dad", "when": "every day at noon"}


async def test_what_is_set_is_shown_edited_and_taken_away(mission: Mission, http: httpx.AsyncClient) -> None:
    said = (await http.post("/api/schedule", json={"kind": "timer", "what": "pasta", "when": "ten minutes"})).json()
    assert said == {"text": "Your pasta timer is set for 10 minutes."}
    await http.post("/api/schedule", json={"kind": "reminder", "what": "call mum", "when": "tomorrow at noon"})
    timer, reminder = await items(http)
    assert (timer["name"], timer["kind"], reminder["name"]) == ("pasta timer", "timer", "call mum")

    paused = await http.put(f"/api/schedule/{timer['id']}", json={"paused": True})
    assert paused.json()["text"].startswith("The pasta timer is paused with ")
    assert (await items(http))[0]["left_s"] > 590
    await http.put(f"/api/schedule/{timer['id']}", json={"paused": False})
    edited = await http.put(f"/api/schedule/{reminder['id']}", json={"what": "call dad", "when": "every day at noon"})
    assert edited.json() == {"text": "The reminder every day at noon, call dad, is set."}

    for entry in (timer, reminder):
        assert (await http.delete(f"/api/schedule/{entry['id']}")).status_code == 200
    assert await items(http) == []
    assert (await http.delete(f"/api/schedule/{timer['id']}")).status_code == 404


async def test_what_is_not_understood_is_refused_in_a_sentence(mission: Mission, http: httpx.AsyncClient) -> None:
    for body, reason in (
        ({"kind": "timer", "when": "ten bananas"}, "I do not understand 'ten bananas' as a length of time"),
        ({"kind": "alarm", "when": "tomorrow morning"}, "At what time tomorrow"),
        ({"kind": "reminder", "what": "", "when": "at noon"}, "What shall I remind you of?"),
    ):
        answer = await http.post("/api/schedule", json=body)
        assert answer.status_code == 400
        assert reason in answer.text
    assert await items(http) == []


async def items(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get("/api/schedule")).json()["items"]
    return found
