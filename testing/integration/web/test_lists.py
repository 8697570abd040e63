"""The lists over HTTP: changed, read again, and taken back."""

from __future__ import annotations

import httpx
import pytest

from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration


async def test_lists_are_changed_and_taken_back(mission: Mission, http: httpx.AsyncClient) -> None:
    made = await http.post("/api/lists/shopping/items", json={"text": " milk "})
    assert made.status_code == 201
    (milk,) = made.json()["items"]
    assert milk["text"] == "milk"
    twice = await http.post("/api/lists/shopping/items", json={"text": "the milk"})
    assert (twice.status_code, twice.json()["error"]["param"]) == (400, "text")
    item = f"/api/lists/shopping/items/{milk['id']}"
    assert (await http.put(item, json={"text": "oat milk"})).json()["items"][0]["text"] == "oat milk"
    assert (await http.put(item, json={"text": ""})).status_code == 400
    assert (await http.delete(item)).json() == {"removed": "oat milk"}
    assert (await http.delete(item)).status_code == 404
    assert (await http.get("/api/lists")).json()["lists"][0]["items"] == []

    changes = (await http.get("/api/changes")).json()["changes"]
    assert [change["text"] for change in changes] == [
        "I took oat milk off the shopping list.",
        "I changed milk to oat milk on the shopping list.",
        "I put milk on the shopping list.",
    ]
    undo = [f"/api/changes/{change['id']}/undo" for change in changes]
    assert (await http.post(undo[2])).status_code == 409  # it is not there
    assert (await http.post(undo[0])).json() == {"text": "I put oat milk back on the shopping list."}
    assert (await http.post(undo[0])).status_code == 404
    assert (await http.post(undo[1])).json() == {"text": "It says milk on the shopping list again."}
    assert (await http.get("/api/changes")).json()["changes"] == []


async def test_a_list_is_begun_and_removed_with_what_is_on_it(mission: Mission, http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/lists", json={"name": "my Hardware list"})).json()["key"] == "hardware"
    await http.post("/api/lists/hardware/items", json={"text": "nails"})
    assert (await http.delete("/api/lists/hardware")).status_code == 200
    assert (await http.delete("/api/lists/hardware")).status_code == 404
    change = (await http.get("/api/changes")).json()["changes"][0]
    assert (await http.post(f"/api/changes/{change['id']}/undo")).json() == {
        "text": "I put nails back on the hardware list."
    }
    assert [each["key"] for each in (await http.get("/api/lists")).json()["lists"]] == [
        "shopping",
        "to do",
        "hardware",
    ]
