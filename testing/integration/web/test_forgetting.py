"""What a person has forgotten leaves every byte, also where the agent told it in words of its own."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

FACT = "the spare key is under the marzipan pot"
ANSWER = "Your spare key? Under the marzipan pot."


def places(folder: Path, word: str = "marzipan") -> list[str]:
    """The files in which the word stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if word.encode() in path.read_bytes().lower()]


async def ask(mission: Mission, text: str, conversation: str = "kitchen") -> str:
    said = "".join([piece async for piece in mission.agent.respond(conversation, text, "typed")])
    await mission.agent.wait_kept()
    return said.strip()


async def settle(mission: Mission) -> None:
    await mission.agent.wait_kept()
    await mission.memory.settled()
    await mission.storage.journal.snapshot()
    mission.services.event_log.flush()


async def told(mission: Mission, http: httpx.AsyncClient) -> str:
    """A fact that was kept, and told again in other words; its id."""
    kept = (await http.post("/api/memory", json={"text": FACT})).json()
    mission.model.replies["where is the spare key"] = ANSWER
    assert await ask(mission, "where is the spare key") == ANSWER
    mission.model.replies["which pot"] = "The marzipan one, where the spare key is."
    await ask(mission, "which pot")
    await ask(mission, "how are you")
    await http.post("/api/state/save", json={"save_name": "before"})
    await settle(mission)
    assert len(places(mission.state_dir)) >= 3
    return str(kept["id"])


async def test_the_pages_delete_takes_it_out_of_answers_events_states_and_the_open_conversation(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    fact = await told(mission, http)
    assert (await http.delete(f"/api/memory/{fact}")).status_code == 200
    await settle(mission)
    assert places(mission.state_dir) == []
    await ask(mission, "and now")
    shown = " ".join(message.content for message in mission.model.requests[-1])
    assert "marzipan" not in shown
    assert "how are you" in shown  # what has nothing to do with it stays
    assert "how are you" in (mission.state_dir / "events/kitchen.jsonl").read_text()


async def test_who_asks_to_forget_it_hears_what_it_was_and_that_is_gone_too(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    await mission.stop()
    mission.remembers = True
    await mission.start()
    headers = {"authorization": f"Bearer {mission.token}"}
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as client:
        await told(mission, client)
    call = json.dumps({"name": "memory.forget", "arguments": {"query": "spare key"}})
    mission.model.replies["forget the spare key"] = f"<tool_call>{call}</tool_call>"
    mission.model.replies["I forgot: the spare key"] = f"I forgot that {FACT}."
    assert "marzipan" in await ask(mission, "forget the spare key")
    await settle(mission)
    assert places(mission.state_dir) == []
    assert await mission.memory.recall("spare key") == []
