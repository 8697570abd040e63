"""Approvals over HTTP, and what a page sees of them: through the real server, queue, agent and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from pipecatapp.cli.approvals import ApprovalClient
from pipecatapp.cli.client import Client
from pipecatapp.errors import ConfigurationError
from pipecatapp.settings import load_settings
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

SSH = '<tool_call>\n{"name": "ssh.run_command", "arguments": {"host": "node3", "command": "df -h"}}\n</tool_call>'
POWER = (
    '<tool_call>\n{"name": "power.set_idle_threshold", "arguments": {"service": "coding", "seconds": 60}}\n</tool_call>'
)


HEAL = '<tool_call>\n{"name": "ansible.run_playbook", "arguments": {"playbook": "heal_cluster.yaml"}}\n</tool_call>'


@pytest.fixture
def scripted(mission: Mission) -> Mission:
    mission.model.replies = {"df -h": SSH, "sleep": POWER, "half full": "It is half full.", "It is set": "Set."}
    return mission


async def ask(http: httpx.AsyncClient, text: str, conversation: str = "c") -> dict[str, Any]:
    """Ask for something that acts; the request that waits then."""
    before = {waiting["id"] for waiting in await waits(http)}
    assert (await http.post("/api/messages", json={"conversation": conversation, "text": text})).status_code == 202
    async with asyncio.timeout(30):
        while not (new := [waiting for waiting in await waits(http) if waiting["id"] not in before]):
            await asyncio.sleep(0.01)
    return new[0]


async def waits(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/api/approvals")
    assert answer.status_code == 200
    approvals: list[dict[str, Any]] = answer.json()["approvals"]
    return approvals


async def events(mission: Mission, until: str, conversation: str = "c") -> list[dict[str, Any]]:
    """What a page that opens now sees, up to this type of event."""
    found: list[dict[str, Any]] = []
    url = f"{mission.url.replace('http', 'ws')}/ws?conversation={conversation}"
    headers = {"authorization": f"Bearer {mission.token}"}
    async with asyncio.timeout(30), connect(url, additional_headers=headers, proxy=None) as socket:
        while not found or found[-1]["type"] != until:
            found.append(json.loads(await socket.recv()))
    return found


async def audit(http: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            entries: list[dict[str, Any]] = (await http.get("/api/audit")).json()["entries"]
            if len(entries) >= count:
                return entries
            await asyncio.sleep(0.01)


async def spoken(scripted: Mission, text: str) -> None:
    """Wait until the agent said this."""
    async with asyncio.timeout(30):
        while text not in [e.get("text") for e in await events(scripted, "replayed") if e["type"] == "assistant"]:
            await asyncio.sleep(0.02)


async def test_a_yes_on_the_page_runs_the_call_and_the_answer_comes(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    assert waiting["arguments"] == {"host": "node3", "command": "df -h"}
    assert waiting["conversation"] == "c"
    assert waiting["detail"] == "The key of this host is SHA256:scripted."
    answer = await http.post(
        f"/api/approvals/{waiting['id']}", json={"decision": "approve", "digest": waiting["digest"], "scope": "once"}
    )
    assert (answer.status_code, answer.json()) == (
        200, {"id": waiting["id"], "decision": "approve", "state": "approved", "step": "only"},
    )  # fmt: skip
    await spoken(scripted, "It is half full.")
    assert len(scripted.ssh.calls) == 1
    executed, approved, requested = await audit(http, 3)
    assert [entry["decision"] for entry in (requested, approved, executed)] == ["requested", "approved", "executed"]
    assert (approved["by"], executed["ok"], executed["n"]) == ("terminal", True, 3)
    assert len(executed["result_digest"]) == 64
    older = (await http.get("/api/audit", params={"before": 3, "limit": 1})).json()
    assert [entry["n"] for entry in older["entries"]] == [2]
    assert older["more"]
    again = await http.post(
        f"/api/approvals/{waiting['id']}", json={"decision": "approve", "digest": waiting["digest"]}
    )
    assert again.status_code == 409


async def test_what_does_not_fit_is_refused_with_a_reason(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    yes = {"decision": "approve", "digest": waiting["digest"]}
    where = f"/api/approvals/{waiting['id']}"
    for path, body, status in (
        ("/api/approvals/none", yes, 404),
        (where, {**yes, "digest": "0" * 64}, 409),
        (where, {**yes, "arguments": {"host": 3}}, 400),
        (where, {**yes, "arguments": {"host": "node3", "command": "df", "sudo": True}}, 400),
        (where, {**yes, "arguments": {"host": json.loads("[" * 600 + "]" * 600), "command": "df"}}, 400),
        (where, {**yes, "decision": "perhaps"}, 400),
        (where, {"decision": "approve"}, 400),
    ):
        answer = await http.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
    assert len(await waits(http)) == 1
    assert scripted.ssh.calls == []


async def test_edited_arguments_run(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    edited = {"host": "node4", "command": "df"}
    body = {"decision": "approve", "digest": waiting["digest"], "arguments": edited}
    assert (await http.post(f"/api/approvals/{waiting['id']}", json=body)).status_code == 200
    await spoken(scripted, "It is half full.")
    assert [arguments for arguments, _ in scripted.ssh.calls] == [edited]


async def test_nobody_answers_without_the_token(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    body = {"decision": "approve", "digest": waiting["digest"]}
    async with httpx.AsyncClient(base_url=scripted.url, trust_env=False) as stranger:
        assert (await stranger.post(f"/api/approvals/{waiting['id']}", json=body)).status_code == 401
        assert (await stranger.get("/api/approvals")).status_code == 401
        assert (await stranger.get("/api/audit")).status_code == 401
    assert len(await waits(http)) == 1


async def test_only_our_own_page_may_answer(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    body = {"decision": "refuse", "digest": waiting["digest"]}
    async with httpx.AsyncClient(base_url=scripted.url, trust_env=False, follow_redirects=True) as page:
        assert (await page.get(f"/?token={scripted.token}")).status_code == 200
        where = f"/api/approvals/{waiting['id']}"
        assert (await page.post(where, json=body, headers={"origin": "http://evil.example"})).status_code == 403
        assert (await page.post(where, json=body, headers={"origin": scripted.url})).status_code == 200
    assert next((entry["decision"], entry["by"]) for entry in await audit(http, 2)) == ("refused", "page")


async def test_a_page_that_is_loaded_again_sees_what_waits_and_what_was_decided(
    scripted: Mission, http: httpx.AsyncClient
) -> None:
    waiting = await ask(http, "run df -h on node3")
    seen = await events(scripted, "replayed")
    assert [event["id"] for event in seen if event["type"] == "approval"] == [waiting["id"]]
    body = {"decision": "refuse", "digest": waiting["digest"]}
    await http.post(f"/api/approvals/{waiting['id']}", json=body)
    seen = await events(scripted, "replayed")
    assert [event["decision"] for event in seen if event["type"] == "approval_decided"] == ["refused"]


async def test_a_restart_keeps_what_waits(scripted: Mission, http: httpx.AsyncClient) -> None:
    waiting = await ask(http, "run df -h on node3")
    await scripted.stop()
    await scripted.start()
    assert [other["id"] for other in await waits(http)] == [waiting["id"]]
    body = {"decision": "approve", "digest": waiting["digest"]}
    assert (await http.post(f"/api/approvals/{waiting['id']}", json=body)).status_code == 200
    await spoken(scripted, "It is half full.")
    assert len(scripted.ssh.calls) == 1


async def test_what_expired_while_the_program_was_away_is_told(scripted: Mission, http: httpx.AsyncClient) -> None:
    scripted.lifetime_s = 0.5
    await scripted.stop()
    await scripted.start()
    waiting = await ask(http, "run df -h on node3")
    await scripted.stop()
    await asyncio.sleep(0.6)
    await scripted.start()
    seen = await events(scripted, "replayed")
    decided = [event for event in seen if event["type"] == "approval_decided"]
    assert [(event["id"], event["decision"]) for event in decided] == [(waiting["id"], "expired")]
    assert await waits(http) == []
    assert scripted.ssh.calls == []


async def test_a_typed_yes_is_enough_for_what_is_not_dangerous(scripted: Mission, http: httpx.AsyncClient) -> None:
    await ask(http, "let it sleep")
    await spoken(scripted, "I am about to let coding sleep after 60 seconds. Shall I?")
    await http.post("/api/messages", json={"conversation": "c", "text": "yes, do it"})
    await spoken(scripted, "Set.")
    assert len(scripted.power.calls) == 1


async def test_the_terminal_shows_the_exact_call_and_answers_it(
    scripted: Mission, http: httpx.AsyncClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(scripted.url, scripted.token, load_settings(state_dir=tmp_path))
    asked: list[str] = []

    def confirm(answer: str) -> Callable[[str], str]:
        return lambda question: asked.append(question) or answer  # type: ignore[func-returns-value]

    assert await asyncio.to_thread(ApprovalClient(client).show) == 0
    assert "nothing waits" in capsys.readouterr().out
    waiting = await ask(http, "run df -h on node3")
    refusing = ApprovalClient(client, confirm("n"))
    assert await asyncio.to_thread(refusing.answer, waiting["id"][:6], "approve") == 1
    shown = capsys.readouterr().out
    assert all(part in shown for part in ('command: "df -h"', 'host: "node3"', waiting["digest"], "SHA256:scripted"))
    assert len(await waits(http)) == 1
    agreeing = ApprovalClient(client, confirm("y"))
    assert await asyncio.to_thread(agreeing.answer, waiting["id"], "approve") == 0
    assert asked == ["approve exactly this? [y/N] "] * 2
    await spoken(scripted, "It is half full.")
    assert (await audit(http, 3))[1]["by"] == "terminal"
    with pytest.raises(ConfigurationError, match="no request"):
        await asyncio.to_thread(agreeing.answer, waiting["id"], "approve")


async def test_the_terminal_says_what_a_yes_to_looking_does(
    scripted: Mission, http: httpx.AsyncClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.ansible.known = set()
    scripted.model.replies["heal"] = HEAL
    scripted.model.replies["is through"] = "It is well."
    client = ApprovalClient(Client(scripted.url, scripted.token, load_settings(state_dir=tmp_path)))
    first = await ask(http, "heal the cluster")
    assert (first["step"], first["after"]) == ("look", "")
    assert await asyncio.to_thread(partial(client.answer, first["id"], "approve", sure=True)) == 0
    shown = capsys.readouterr().out
    assert "Step 1 of 2: a yes lets it look, and runs nothing." in shown
    assert "the agent looks now; what it finds waits for an answer of its own" in shown
    async with asyncio.timeout(60):
        while not (waiting := await waits(http)):
            await asyncio.sleep(0.02)
    (second,) = waiting
    assert (second["step"], second["after"]) == ("run", first["id"])
    assert scripted.ansible.calls == []
    assert await asyncio.to_thread(partial(client.answer, second["id"], "approve", sure=True)) == 0
    shown = capsys.readouterr().out
    assert "Step 2 of 2" in shown
    assert "| +new" in shown
    await spoken(scripted, "It is well.")
    assert len(scripted.ansible.calls) == 1


async def test_the_openai_endpoint_cannot_act(scripted: Mission, http: httpx.AsyncClient) -> None:
    scripted.model.replies["nobody can be asked here"] = "Not here."
    body = {"messages": [{"role": "user", "content": "run df -h on node3"}]}
    answer = (await http.post("/v1/chat/completions", json=body)).json()
    assert answer["choices"][0]["message"]["content"].strip() == "Not here."
    assert await waits(http) == []
