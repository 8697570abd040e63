"""Other programs use the agent over the Model Context Protocol; the client is the official one, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import httpx2
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from pipecatapp.domain import ApprovalRequest, Preview, ToolCall
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.external_calls import CALLERS
from pipecatapp.web.auth import program_token
from pipecatapp.web.mcp_sessions import LIMIT
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

SLEEP = {"service": "whisper", "seconds": 300}


@asynccontextmanager
async def program(mission: Mission, token: str | None = None, *, mode: str = "auto") -> AsyncIterator[Client]:
    """Another program with its token."""
    headers = {"Authorization": f"Bearer {program_token(mission.token) if token is None else token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(f"{mission.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a program", "version": "1"},
    },
}


@asynccontextmanager
async def raw(mission: Mission) -> AsyncIterator[httpx.AsyncClient]:
    """Another program with its token, which writes its requests itself."""
    headers = {
        "authorization": f"Bearer {program_token(mission.token)}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def said(result: types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


async def waiting(mission: Mission, count: int = 1) -> list[ApprovalRequest]:
    async with asyncio.timeout(30):
        while len(requests := mission.gate.pending(CALLERS)) < count:
            await asyncio.sleep(0.02)
    return requests


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_tools_that_read_are_called(mission: Mission, mode: str) -> None:
    async with program(mission, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {tool.spec.name for tool in (mission.tool, mission.power, mission.ssh, mission.ansible)}
        assert tools["power.set_idle_threshold"].description.endswith("Waits for a person's yes.")  # type: ignore[union-attr]
        result = await client.call_tool("mcp.get_status", {})
        assert (said(result), result.is_error) == ("Everything is well.", False)
    assert mission.tool.calls[0][1].conversation == CALLERS


async def test_what_is_wrong_with_a_call_is_a_result(mission: Mission) -> None:
    async with program(mission) as client:
        wrong = await client.call_tool("power.set_idle_threshold", {"service": "x", "seconds": "soon"})
        unknown = await client.call_tool("rm.rf", {})
    assert wrong.is_error
    assert "seconds must be integer" in said(wrong)
    assert (unknown.is_error, said(unknown)) == (True, "there is no tool rm.rf")
    assert mission.gate.pending() == []


async def test_a_tool_that_acts_waits_for_the_persons_yes(mission: Mission, http: httpx.AsyncClient) -> None:
    async with program(mission) as client:
        call = asyncio.create_task(client.call_tool("power.set_idle_threshold", SLEEP))
        (request,) = await waiting(mission)
        (card,) = (await http.get("/api/approvals")).json()["approvals"]
        assert (card["id"], card["arguments"], card["sentence"]) == (
            request.id,
            SLEEP,
            "Let whisper sleep after 300 seconds.",
        )
        assert mission.power.calls == []
        answer = {"decision": "approve", "digest": card["digest"]}
        assert (await http.post(f"/api/approvals/{request.id}", json=answer)).status_code == 200
        result = await call
    assert (said(result), result.is_error) == ("It is set.", False)
    assert [arguments for arguments, _ in mission.power.calls] == [SLEEP]
    assert mission.model.requests == [], "the model has nothing to do with it"
    assert mission.gate.get(request.id) is None


async def test_a_no_is_an_answer(mission: Mission, http: httpx.AsyncClient) -> None:
    async with program(mission) as client:
        call = asyncio.create_task(client.call_tool("ssh.run_command", {"host": "node3", "command": "df"}))
        (request,) = await waiting(mission)
        await http.post(f"/api/approvals/{request.id}", json={"decision": "refuse", "digest": request.digest})
        result = await call
    assert result.is_error
    assert "the answer was no" in said(result)
    assert mission.ssh.calls == []


async def test_the_person_may_edit_what_a_program_asks_for(mission: Mission, http: httpx.AsyncClient) -> None:
    async with program(mission) as client:
        call = asyncio.create_task(client.call_tool("power.set_idle_threshold", SLEEP))
        (request,) = await waiting(mission)
        edited = {**SLEEP, "seconds": 60}
        answer = {"decision": "approve", "digest": request.digest, "arguments": edited}
        await http.post(f"/api/approvals/{request.id}", json=answer)
        assert not (await call).is_error
    assert [arguments for arguments, _ in mission.power.calls] == [edited]


async def test_what_was_allowed_for_the_session_is_asked_again(mission: Mission, http: httpx.AsyncClient) -> None:
    async with program(mission) as client:
        for _ in range(2):
            call = asyncio.create_task(client.call_tool("power.set_idle_threshold", SLEEP))
            (request,) = await waiting(mission)
            answer = {"decision": "approve", "digest": request.digest, "scope": "session"}
            await http.post(f"/api/approvals/{request.id}", json=answer)
            assert not (await call).is_error
    assert len(mission.power.calls) == 2


async def test_nobody_answers_in_time(mission: Mission) -> None:
    await mission.stop()
    mission.lifetime_s = 0.3
    await mission.start()
    async with program(mission) as client:
        result = await client.call_tool("power.set_idle_threshold", SLEEP)
    assert result.is_error
    assert "nobody answered in time" in said(result)
    assert mission.power.calls == []


async def test_a_program_that_goes_away_takes_its_request_with_it(mission: Mission) -> None:
    async with program(mission) as client:
        call = asyncio.create_task(client.call_tool("power.set_idle_threshold", SLEEP))
        await waiting(mission)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        async with asyncio.timeout(30):
            while mission.gate.pending(CALLERS):
                await asyncio.sleep(0.02)
        assert said(await client.call_tool("mcp.get_status", {})) == "Everything is well."
    assert mission.power.calls == []


async def test_after_a_restart_a_late_yes_runs_nothing(mission: Mission, http: httpx.AsyncClient) -> None:
    # As a restart finds it: the request on the disk, nobody who waits.
    call = ToolCall("c1", "power.set_idle_threshold", SLEEP)
    request = await mission.gate.ask(call, mission.power.spec, Preview("Sleep."), ToolContext(CALLERS, "before"))
    await http.post(f"/api/approvals/{request.id}", json={"decision": "approve", "digest": request.digest})
    async with asyncio.timeout(30):
        while mission.gate.get(request.id) is not None:
            await asyncio.sleep(0.02)
    assert mission.power.calls == []
    assert mission.model.requests == []


async def test_two_programs_that_want_the_same_share_the_answer(mission: Mission, http: httpx.AsyncClient) -> None:
    async with program(mission) as one, program(mission) as other:
        calls = [asyncio.create_task(client.call_tool("power.set_idle_threshold", SLEEP)) for client in (one, other)]
        (request,) = await waiting(mission)
        await asyncio.sleep(0.3)
        await http.post(f"/api/approvals/{request.id}", json={"decision": "approve", "digest": request.digest})
        results = await asyncio.gather(*calls)
    assert len(mission.power.calls) == 1
    assert not all(result.is_error for result in results)


async def test_memory_is_read_as_resources(mission: Mission) -> None:
    await mission.memory.add("the spare key is under the blue pot", kind="told")
    await mission.memory.add("anna likes tulips", kind="told")
    async with program(mission) as client:
        assert [str(resource.uri) for resource in (await client.list_resources()).resources] == ["memory://facts"]
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["memory://facts/{query}"]
        (everything,) = (await client.read_resource("memory://facts")).contents
        (found,) = (await client.read_resource("memory://facts/spare%20key")).contents
        with pytest.raises(MCPError, match="there is no resource"):
            await client.read_resource("file:///etc/passwd")
    assert isinstance(everything, types.TextResourceContents)
    assert isinstance(found, types.TextResourceContents)
    assert [fact["text"] for fact in json.loads(everything.text)] == [
        "anna likes tulips",
        "the spare key is under the blue pot",
    ]
    assert json.loads(found.text)[0]["text"] == "the spare key is under the blue pot"


async def test_without_the_token_nobody_comes_in(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as client:
        assert (await client.post("/mcp", json={})).status_code == 401
        wrong = await client.post("/mcp", json={}, headers={"authorization": "Bearer mcp_wrong"})
        assert wrong.status_code == 401
    with pytest.raises(BaseException, match=r"error|unhandled"):
        async with program(mission, "mcp_wrong"):
            pass


async def test_the_programs_token_opens_nothing_else(mission: Mission) -> None:
    headers = {"authorization": f"Bearer {program_token(mission.token)}"}
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as client:
        for path in ("/api/approvals", "/api/status", "/v1/models", "/mcp/", "/mcp/api/approvals", "/metrics"):
            assert (await client.get(path)).status_code in (401, 429), path
        assert (await client.post("/api/approvals/x", json={})).status_code in (401, 429)


async def test_a_page_of_another_site_is_refused_even_with_a_token(mission: Mission) -> None:
    headers = {"authorization": f"Bearer {program_token(mission.token)}", "origin": "http://evil.example"}
    async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as client:
        assert (await client.post("/mcp", json={})).status_code == 403
        assert (await client.get("/mcp")).status_code == 403


async def test_nonsense_is_refused_and_the_next_one_is_served(mission: Mission) -> None:
    async with raw(mission) as client:
        for body in (b"", b"{", b"[]", b'{"jsonrpc": "2.0"}', b"x" * 1_500_000):
            assert (await client.post("/mcp", content=body)).status_code in (400, 404, 413, 422), body[:20]
    async with program(mission) as client:
        assert said(await client.call_tool("mcp.get_status", {})) == "Everything is well."


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_that_is_nested_too_deep_is_refused_and_the_next_one_is_served(
    mission: Mission, mode: str
) -> None:
    deep = json.loads('{"a":' * 70 + "1" + "}" * 70)
    async with program(mission, mode=mode) as client:
        result = await client.call_tool("ansible.run_playbook", {"playbook": "playbook.yaml", "extra_vars": deep})
        assert (result.is_error, "nested more than 64 deep" in said(result)) == (True, True)
        assert said(await client.call_tool("mcp.get_status", {})) == "Everything is well."
    assert mission.gate.pending() == []


@pytest.mark.parametrize("depth", [600, 100_000])
async def test_what_is_nested_deeper_than_any_client_sends_is_refused(mission: Mission, depth: int) -> None:
    async with raw(mission) as client:
        session = {"mcp-session-id": (await client.post("/mcp", json=INITIALIZE)).headers["mcp-session-id"]}
        arguments = f'{{"playbook": "playbook.yaml", "extra_vars": {"[" * depth}{"]" * depth}}}'
        params = f'{{"name": "ansible.run_playbook", "arguments": {arguments}}}'
        body = f'{{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {params}}}'
        answer = await client.post("/mcp", content=body, headers=session)
        assert (answer.status_code, "recursion limit" in answer.text) == (400, True)
    async with program(mission) as client:
        assert said(await client.call_tool("mcp.get_status", {})) == "Everything is well."
    assert mission.gate.pending() == []


CALL = {
    "jsonrpc": "2.0",
    "id": 5,
    "method": "tools/call",
    "params": {"name": "power.set_idle_threshold", "arguments": SLEEP},
}


async def open_session(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.post("/mcp", json=INITIALIZE)
    assert answer.status_code == 200
    return {"mcp-session-id": answer.headers["mcp-session-id"]}


async def lists(client: httpx.AsyncClient, session: dict[str, str]) -> bool:
    """Whether the session is there."""
    body = {"jsonrpc": "2.0", "id": 3, "method": "tools/list"}
    return (await client.post("/mcp", json=body, headers=session)).status_code == 200


async def withdrawn(mission: Mission) -> None:
    async with asyncio.timeout(30):
        while mission.gate.pending(CALLERS):
            await asyncio.sleep(0.02)


async def test_abandoned_sessions_block_nobody(mission: Mission) -> None:
    async with raw(mission) as client:
        sessions = [await open_session(client) for _ in range(LIMIT)]
        assert await lists(client, sessions[0])  # so the second is the one that was idle longest
        for _ in range(10):
            await open_session(client)
        assert await lists(client, sessions[0])
        assert [await lists(client, session) for session in sessions[1:12]] == [False] * 10 + [True]
    async with program(mission) as client_of_today:
        assert said(await client_of_today.call_tool("mcp.get_status", {})) == "Everything is well."


async def test_a_session_in_which_a_call_waits_keeps_its_place(mission: Mission, http: httpx.AsyncClient) -> None:
    async with raw(mission) as client:
        busy = await open_session(client)
        call = asyncio.create_task(client.post("/mcp", json=CALL, headers=busy))
        (request,) = await waiting(mission)
        for _ in range(LIMIT + 5):
            await open_session(client)
        await http.post(f"/api/approvals/{request.id}", json={"decision": "approve", "digest": request.digest})
        assert "It is set." in (await call).text


async def test_a_session_that_ends_takes_its_cards_with_it(mission: Mission) -> None:
    async with raw(mission) as client:
        session = await open_session(client)
        call = asyncio.create_task(client.post("/mcp", json=CALL, headers=session))
        await waiting(mission)
        assert (await client.delete("/mcp", headers=session)).status_code == 200
        await withdrawn(mission)
        await asyncio.gather(call, return_exceptions=True)
    assert mission.power.calls == []


async def test_a_program_that_hangs_up_takes_its_card_with_it(mission: Mission) -> None:
    async with raw(mission) as client:
        session = await open_session(client)
        call = asyncio.create_task(client.post("/mcp", json=CALL, headers=session))
        await waiting(mission)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await withdrawn(mission)
        assert await lists(client, session)
    assert mission.power.calls == []
