"""Long-term memory and named states as the page and the command line reach them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from pipecatapp.events import ConversationCleared, Event, MemoryChanged, UserMessage
from pipecatapp.web.access import LARGE_BODIES, MAX_BODY
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration


class Heard:
    """All events of a hub."""

    def __init__(self, mission: Mission) -> None:
        self.events: list[Event] = []
        mission.hub.add_listener(self.events.append)

    def changes(self) -> list[tuple[str, str, int]]:
        return [(e.change, e.fact, e.total) for e in self.events if isinstance(e, MemoryChanged)]


async def texts(http: httpx.AsyncClient, **query: str) -> list[str]:
    answer = (await http.get("/api/memory", params=query)).raise_for_status().json()
    return [fact["text"] for fact in answer["facts"]]


async def add(http: httpx.AsyncClient, text: str, **more: str) -> dict[str, Any]:
    fact: dict[str, Any] = (await http.post("/api/memory", json={"text": text, **more})).raise_for_status().json()
    return fact


async def test_facts_are_added_listed_found_corrected_and_forgotten(mission: Mission, http: httpx.AsyncClient) -> None:
    heard = Heard(mission)
    key = await add(http, "the spare key is under the blue pot")
    await add(http, "the dog is called Rex", kind="pet")

    assert await texts(http) == ["the dog is called Rex", "the spare key is under the blue pot"]
    assert await texts(http, kind="pet") == ["the dog is called Rex"]
    assert await texts(http, query="spare key") == ["the spare key is under the blue pot"]
    page = (await http.get("/api/memory", params={"offset": 1, "limit": 1})).json()
    assert (page["total"], [fact["id"] for fact in page["facts"]]) == (2, [key["id"]])
    assert page["health"]["ok"]
    assert set(page["facts"][0]) == {"id", "text", "kind", "created_at", "seen", "turn", "score"}

    corrected = (await http.put(f"/api/memory/{key['id']}", json={"text": "the spare key is in the shed"})).json()
    history = (await http.get(f"/api/memory/{corrected['id']}/history")).json()["history"]
    assert [old["text"] for old in history] == ["the spare key is under the blue pot"]
    assert await texts(http, query="spare key") == ["the spare key is in the shed"]

    forgotten = await http.delete(f"/api/memory/{corrected['id']}")
    assert forgotten.json() == {"forgotten": "the spare key is in the shed"}
    assert await texts(http) == ["the dog is called Rex"]
    assert heard.changes() == [
        ("added", "the spare key is under the blue pot", 1),
        ("added", "the dog is called Rex", 2),
        ("corrected", "the spare key is in the shed", 2),
        ("forgotten", "the spare key is in the shed", 1),
    ]


async def test_what_is_wrong_is_said(http: httpx.AsyncClient) -> None:
    for answer, status, words in (
        (await http.post("/api/memory", json={"text": "  "}), 400, "text"),
        (await http.post("/api/memory", json={"text": "x" * 2001}), 400, "text"),
        (await http.post("/api/memory", json={"text": "\u0007"}), 400, "nothing to remember"),
        (await http.post("/api/memory", json={"text": "x", "more": 1}), 400, "more"),
        (await http.put("/api/memory/99", json={"text": "x"}), 404, "no fact '99'"),
        (await http.delete("/api/memory/..%2F..%2Fetc"), 404, "Not Found"),
        (await http.delete("/api/memory/abc"), 404, "no fact 'abc'"),
        (await http.get("/api/memory/99/history"), 404, "no fact"),
        (await http.get("/api/memory", params={"limit": 0}), 400, "limit"),
        (await http.get("/api/memory", params={"offset": -1}), 400, "offset"),
        (await http.post("/api/memory/import", content=b"\xff\xfe\x00"), 400, "UTF-8"),
    ):
        assert answer.status_code == status, answer.text
        assert words in answer.text


async def test_an_export_can_be_imported_and_bad_lines_are_named(http: httpx.AsyncClient) -> None:
    await add(http, "the dog is called Rex")
    export = await http.get("/api/memory/export")
    assert export.headers["content-type"].startswith("application/x-ndjson")
    assert "attachment" in export.headers["content-disposition"]
    lines = export.text + 'no json\n{"text": "the cat is called Tom"}\n{"text": 5}\n' + "[" * 100_000 + "\n"

    report = (await http.post("/api/memory/import", content=lines.encode())).json()

    assert (report["added"], report["merged"]) == (1, 1)
    assert report["refused"] == [[2, "no JSON"], [4, "`text` must be a sentence"], [5, "no JSON"]]
    assert sorted(await texts(http)) == ["the cat is called Tom", "the dog is called Rex"]


async def test_an_import_may_be_larger_than_other_requests(http: httpx.AsyncClient) -> None:
    line = json.dumps({"text": "the same fact again and again " + "x" * 900}) + "\n"
    lines = line * (MAX_BODY // len(line) + 10)

    report = await http.post("/api/memory/import", content=lines.encode(), timeout=60)

    assert report.json()["added"] == 1
    limit = LARGE_BODIES["/api/memory/import"]
    too_large = await http.post("/api/memory/import", content=b"x" * (limit + 1), timeout=60)
    assert (too_large.status_code, str(limit) in too_large.text) == (413, True)
    assert (await http.post("/api/memory", content=lines.encode())).status_code == 413


async def test_nobody_without_the_token_sees_a_fact(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as stranger:
        for path in ("/api/memory", "/api/memory/export", "/api/state"):
            assert (await stranger.get(path)).status_code == 401


async def test_a_state_is_saved_and_loaded_with_its_conversations(mission: Mission, http: httpx.AsyncClient) -> None:
    heard = Heard(mission)
    key = await add(http, "the spare key is under the blue pot")
    await http.put(f"/api/memory/{key['id']}", json={"text": "the spare key is in the shed"})
    await ask(mission, "first words")
    saved = (await http.post("/api/state/save", json={"save_name": "before the move"})).json()
    assert (saved["name"], saved["facts"]) == ("before the move", 1)

    await ask(mission, "second words")
    await add(http, "the dog is called Rex")
    answer = (await http.post("/api/state/load", json={"save_name": "before the move"})).json()

    (fact,) = (await http.get("/api/memory")).json()["facts"]
    assert fact["text"] == "the spare key is in the shed"
    (old,) = (await http.get(f"/api/memory/{fact['id']}/history")).json()["history"]
    assert old["text"] == "the spare key is under the blue pot"
    assert await texts(http, query="spare key shed") == ["the spare key is in the shed"]
    await ask(mission, "third words")
    seen = [message.content for message in mission.model.requests[-1]]
    assert [text for text in seen[1:] if "words" in text and "said" not in text] == ["first words", "third words"]
    assert ("loaded", "", 1) in heard.changes()
    shown = heard.events[max(i for i, e in enumerate(heard.events) if isinstance(e, ConversationCleared)) :]
    assert [e.text for e in shown if isinstance(e, UserMessage)] == ["first words", "third words"]

    assert answer["before"].startswith("before-load-")
    await http.post("/api/state/load", json={"save_name": answer["before"]})
    assert sorted(await texts(http)) == ["the dog is called Rex", "the spare key is in the shed"]


async def ask(mission: Mission, words: str) -> None:
    async for _ in mission.agent.respond("c-1", words, "typed"):
        pass
    await mission.agent.wait_kept()


async def test_states_are_listed_and_deleted(http: httpx.AsyncClient) -> None:
    for name in ("one", "two"):
        await http.post("/api/state/save", json={"save_name": name})
    listed = (await http.get("/api/state")).json()["states"]
    assert sorted(state["name"] for state in listed) == ["one", "two"]
    assert set(listed[0]) == {"name", "saved_at", "facts", "bytes"}
    assert (await http.delete("/api/state/one")).json() == {"deleted": "one"}
    assert [state["name"] for state in (await http.get("/api/state")).json()["states"]] == ["two"]
    missing = await http.post("/api/state/load", json={"save_name": "one"})
    assert (missing.status_code, "choose one of: two" in missing.text) == (404, True)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a\u0000b", "x" * 65, ".hidden", "a\n", "ä", "-x", "x "],
)
async def test_a_name_cannot_leave_the_folder(mission: Mission, http: httpx.AsyncClient, name: str) -> None:
    before = sorted(path for path in mission.state_dir.rglob("*") if "events" not in path.parts)
    for path in ("save", "load"):
        answer = await http.post(f"/api/state/{path}", json={"save_name": name})
        assert answer.status_code == 400, answer.text
    assert sorted(path for path in mission.state_dir.rglob("*") if "events" not in path.parts) == before


async def test_a_damaged_state_changes_nothing(mission: Mission, http: httpx.AsyncClient) -> None:
    await add(http, "the dog is called Rex")
    await http.post("/api/state/save", json={"save_name": "s"})
    path = mission.state_dir / "states/s/state.jsonl"
    whole = path.read_bytes()
    for damaged in (b"", b"{}\n", whole[:-20], whole.replace(b"Rex", b"Tom"), whole + whole, b"\x00" * 500):
        path.write_bytes(damaged)
        answer = await http.post("/api/state/load", json={"save_name": "s"})
        assert (answer.status_code, "cannot be read" in answer.text) == (507, True), answer.text
    assert await texts(http) == ["the dog is called Rex"]
    assert path.exists()


async def test_facts_from_before_a_restart_are_there_after_it(mission: Mission, http: httpx.AsyncClient) -> None:
    await add(http, "the dog is called Rex")
    await mission.stop()
    await mission.start()
    await asyncio.sleep(0)
    headers = {"authorization": f"Bearer {mission.token}"}
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as client:
        assert await texts(client) == ["the dog is called Rex"]
