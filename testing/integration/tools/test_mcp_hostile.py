"""Servers of the Model Context Protocol that mean harm: the agent goes on, and says which one it was and why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.server import Timeouts
from pipecatapp.tools.mcp_servers.servers import McpServers

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
QUICK = Timeouts(answer=30.0, look=0.5, again=0.1, first_wait=0.1, longest_wait=0.5)


def hostile(*options: str, **more: Any) -> ServerConfig:
    arguments = ("-m", "testing.fakes.hostile_mcp_server", *options)
    return ServerConfig("bad", sys.executable, arguments, cwd=str(ROOT), **{"timeout_s": 20.0, **more})


@asynccontextmanager
async def running(config: ServerConfig, patience: Timeouts = QUICK) -> AsyncIterator[McpServers]:
    servers = McpServers([config], patience)
    servers.start()
    try:
        async with asyncio.timeout(60):
            while not (await servers.health()).ok:
                await asyncio.sleep(0.05)
        yield servers
    finally:
        await servers.stop()


async def call(servers: McpServers, name: str, lines: list[str] | None = None) -> ToolResult:
    tool = next(tool for tool in servers.tools() if tool.spec.name == f"bad.{name}")
    return await tool.run({}, ToolContext("c", "t", progress=([] if lines is None else lines).append))


async def test_a_call_that_is_answered_with_harm_ends_and_the_next_one_works() -> None:
    lines: list[str] = []
    async with running(hostile()) as servers:
        with pytest.raises(ToolError, match="bad answered: its answer is nested too deep"):
            await call(servers, "deep")
        with pytest.raises(ToolError, match="bad answered: its answer is larger than 8 MB"):
            await call(servers, "large")
        blocks = await call(servers, "blocks")
        assert blocks.text.endswith("x\n(19900 more parts are left out)")
        strange = await call(servers, "strange_blocks")
        assert strange.text == "(a: file:///etc/passwd)\n(2 more parts are left out)"
        assert (await call(servers, "flood")).text == "flooded"
        assert (await call(servers, "progress", lines)).text == "done"
        assert (await call(servers, "fine")).text == "fine"
    assert len(lines) < 50
    assert all(line.isprintable() for line in lines)


async def test_the_pattern_of_a_result_is_never_tried() -> None:
    async with running(hostile()) as servers:
        began = time.monotonic()
        assert (await call(servers, "matched")).text.startswith('{"a": "aaaa')
        assert time.monotonic() - began < 10


async def test_a_line_without_end_ends_the_server_and_it_comes_again() -> None:
    async with running(hostile()) as servers:
        with pytest.raises(ToolError, match=r"went away in the middle of it|took longer"):
            await call(servers, "endless")
        reasons: set[str] = set()
        async with asyncio.timeout(60):
            while "bad: it writes a line that does not end" not in reasons or not (await servers.health()).ok:
                reasons.add((await servers.health()).reason)
                await asyncio.sleep(0.01)
        assert (await call(servers, "fine")).text == "fine"


async def test_what_it_says_of_its_end_is_for_people_and_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    config = hostile(env={"TOKEN": "hunter-two"})
    async with running(config, Timeouts(first_wait=3.0)) as servers:
        with pytest.raises(ToolError):
            await call(servers, "secret")
        async with asyncio.timeout(30):
            while (health := await servers.health()).ok:
                await asyncio.sleep(0.01)
        assert (health.reason, health.said) == ("bad: it ended", "bad: it was wrong: ***")
    assert "hunter-two" not in caplog.text
    assert "it was wrong" not in caplog.text


async def test_who_says_again_and_again_that_its_tools_changed_is_asked_seldom() -> None:
    async with running(hostile("--changing"), Timeouts(again=0.2)) as servers:
        await asyncio.sleep(3.0)
        rounds = [tool.spec.name for tool in servers.tools() if "round_" in tool.spec.name]
    assert rounds
    assert int(rounds[0].rpartition("_")[2]) <= 6


async def test_a_server_that_starts_slowly_is_reached() -> None:
    async with running(hostile("--slow", "3", start_timeout_s=30), Timeouts(answer=1.0)) as servers:
        assert (await call(servers, "fine")).text == "fine"


LOOP = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}


async def test_schemas_that_act_put_their_tools_off_and_nothing_is_fetched(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        there, file = {"$ref": url}, {"$ref": f"file://{tmp_path}/schemas.json"}
        schemas = {
            "ref": {"type": "object", "properties": {"a": there}},
            "file": {"type": "object", "allOf": [file]},
            "loop": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": LOOP},
            "default": {"type": "object", "properties": {"a": {"default": there}}},
            "enum": {"type": "object", "properties": {"a": {"enum": [there, [file]]}}},
            "const": {"type": "object", "properties": {"a": {"const": there}}},
            "lists": {"type": "object", "allOf": [[there]]},
            "named": {"type": "object", "properties": {"$ref": url}},
            "pattern": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        }
        (tmp_path / "schemas.json").write_text(json.dumps(schemas))
        async with running(hostile("--schemas", str(tmp_path / "schemas.json"))) as servers:
            off = servers.off()
            assert set(off) == {"bad.ref", "bad.file", "bad.loop", "bad.lists", "bad.named"}
            assert off["bad.ref"] == "its schema cannot be used: it refers to another document"
            assert off["bad.loop"] == "its schema cannot be used: a reference in it leads to itself"
            assert (await servers.health()).reason == "bad: 5 tools are off"
            for name in ("default", "enum", "const", "pattern", "fine"):
                assert (await call(servers, name)).text == "fine"
        with pytest.raises(BlockingIOError):
            listener.accept()
