"""Real servers of the Model Context Protocol, over stdio, also those that die, hang or write nonsense."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import Risk, ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.server import Timeouts
from pipecatapp.tools.mcp_servers.servers import McpServers

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
QUICK = Timeouts(answer=30.0, look=0.5, again=0.1, first_wait=0.1, longest_wait=0.5)
WITHIN_S = 60.0


def demo(*options: str, **more: Any) -> ServerConfig:
    arguments = ("-m", "testing.fakes.mcp_server", *options)
    return ServerConfig("demo", sys.executable, arguments, cwd=str(ROOT), **{"timeout_s": 20.0, **more})


@asynccontextmanager
async def running(*configs: ServerConfig, timeouts: Timeouts = QUICK) -> AsyncIterator[McpServers]:
    servers = McpServers(configs, timeouts)
    servers.start()
    try:
        yield servers
    finally:
        await servers.stop()


async def until(what: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; a test that waits longer has failed."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = what()
            if (await found) if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.05)


def named(servers: McpServers, name: str) -> Tool:
    return next(tool for tool in servers.tools() if tool.spec.name == name)


async def call(servers: McpServers, name: str, lines: list[str] | None = None, **arguments: Any) -> ToolResult:
    context = ToolContext("c", "t", progress=(lines if lines is not None else []).append)
    return await named(servers, name).run(arguments, context)


async def well(servers: McpServers) -> bool:
    return (await servers.health()).ok


async def gone(servers: McpServers) -> bool:
    return not await well(servers)


async def test_the_tools_of_a_program_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "ours")
    async with running(demo(risks={"echo": Risk.READ}, env={"KEY": "theirs"})) as servers:
        assert not await well(servers)
        await until(lambda: well(servers))
        echo = named(servers, "demo.echo").spec
        assert (echo.risk, echo.untrusted, echo.parameters["required"]) == (Risk.READ, True, ["text"])
        assert named(servers, "demo.die").spec.risk is Risk.ACT
        assert (await call(servers, "demo.echo", text="hi")).text == 'echo {"text": "hi"}'
        names = (await call(servers, "demo.environment")).text.split()
        assert "KEY" in names
        assert "LLM_API_KEY" not in names
        with pytest.raises(ToolError, match="the disk is full"):
            await call(servers, "demo.fail")
        with pytest.raises(ToolError, match="demo answered: "):
            await call(servers, "demo.crash")
        assert (await call(servers, "demo.numbers")).text == '{"sum": 3}'
        assert "(a picture, image/png, 3 kB)" in (await call(servers, "demo.picture")).text
        huge = await call(servers, "demo.huge")
        assert (len(huge.text) < 3000, len(huge.detail) < 30_000) == (True, True)
        lines: list[str] = []
        await call(servers, "demo.work", lines)
        assert lines == ["halfway"]


async def test_a_server_that_dies_is_started_again_and_meanwhile_a_call_gets_a_sentence() -> None:
    async with running(demo(), timeouts=Timeouts(first_wait=1.0)) as servers:
        await until(lambda: well(servers))
        before = servers.tools()
        with pytest.raises(ToolError, match="the server demo went away in the middle of it"):
            await call(servers, "demo.die")
        await until(lambda: gone(servers))
        assert servers.tools() == before
        with pytest.raises(ToolError, match="the server demo cannot be reached: it ended: out of memory, or so"):
            await call(servers, "demo.echo", text="x")
        await until(lambda: well(servers))
        assert (await call(servers, "demo.echo", text="again")).text == 'echo {"text": "again"}'
        assert servers.tools() == before, "the prompt stays the same over a restart"


async def test_new_tools_of_a_server_come_at_once() -> None:
    async with running(demo(), timeouts=Timeouts(look=3600.0)) as servers:
        await until(lambda: well(servers))
        assert "demo.grown" not in {tool.spec.name for tool in servers.tools()}
        await call(servers, "demo.grow")
        await until(lambda: "demo.grown" in {tool.spec.name for tool in servers.tools()})


async def test_a_call_that_takes_too_long_ends_and_the_server_stays() -> None:
    async with running(demo(timeout_s=0.5)) as servers:
        await until(lambda: well(servers))
        with pytest.raises(ToolError, match=r"demo took longer than 0\.5 seconds"):
            await call(servers, "demo.sleep")
        assert (await call(servers, "demo.echo", text="hi")).text == 'echo {"text": "hi"}'


async def test_a_call_can_be_cancelled() -> None:
    async with running(demo()) as servers:
        await until(lambda: well(servers))
        task = asyncio.create_task(call(servers, "demo.sleep"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await call(servers, "demo.echo", text="hi")).text == 'echo {"text": "hi"}'


async def test_fifty_tools_and_more_come_over_several_pages() -> None:
    async with running(demo("--many", "60")) as servers:
        await until(lambda: well(servers))
        assert len([tool for tool in servers.tools() if tool.spec.name.startswith("demo.tool_")]) == 60


class NotingRisks(dict[str, Risk]):
    """Notes in which thread somebody asks it, which happens once for each tool that is looked through."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def get(self, *arguments: Any) -> Any:
        self.threads.append(threading.get_ident())
        return super().get(*arguments)


async def test_tools_are_looked_through_beside_the_loop_and_once() -> None:
    risks = NotingRisks()
    async with running(demo("--many", "60", risks=risks), timeouts=Timeouts(look=0.1, again=0.1)) as servers:
        await until(lambda: well(servers))
        looked = len(risks.threads)
        await asyncio.sleep(1.0)  # some looks later
    assert looked >= 60
    assert len(risks.threads) == looked
    assert threading.get_ident() not in risks.threads


async def test_only_the_enabled_tools_are_there() -> None:
    async with running(demo(enabled_tools=frozenset({"echo"}))) as servers:
        await until(lambda: well(servers))
        assert [tool.spec.name for tool in servers.tools()] == ["demo.echo"]


async def test_strange_tools_are_off_and_the_others_work() -> None:
    async with running(demo("--strange")) as servers:
        await until(lambda: well(servers))
        off = servers.off()
        assert set(off) == {"demo.remote_ref", "demo.dynamic", "demo.broken_type", "demo.two_words (2)", "demo."}
        assert (await servers.health()).reason == "demo: 5 tools are off"
        assert all(off.values())
        assert (await call(servers, "demo.newer", a=[1])).text == 'newer {"a": [1]}'
        assert (await call(servers, "demo.echo", text="hi")).text == 'echo {"text": "hi"}'


async def test_lines_that_are_no_messages_are_dropped() -> None:
    async with running(demo("--stray", "20")) as servers:
        await until(lambda: well(servers))
        assert (await call(servers, "demo.echo", text="hi")).text == 'echo {"text": "hi"}'


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (demo("--stray", "2000"), "writes what is no message"),
        (ServerConfig("demo", "/no/such/program"), "/no/such/program cannot be started: no such file"),
        (
            ServerConfig("demo", "npx-of-nobody", env={"PATH": "/usr/bin:/opt/none"}),
            "it is in no folder of PATH (/usr/bin:/opt/none); install it",
        ),
        (ServerConfig("demo", "npx -y server"), 'what follows the program belongs into "args"'),
        (ServerConfig("demo", "/etc/passwd"), "/etc/passwd cannot be started: permission denied"),
        (ServerConfig("demo", "tr\0ue"), "cannot be started: embedded null byte"),
        (ServerConfig("demo", "sh", ("-c", "echo broken pipe dream >&2; exit 1")), "broken pipe dream"),
        (ServerConfig("demo", "true", cwd="/no/such/folder"), "there is no folder /no/such/folder"),
        (ServerConfig("demo", url="http://127.0.0.1:9/mcp"), "demo: "),
    ],
    ids=[
        "nonsense",
        "missing",
        "in no PATH",
        "words",
        "no program",
        "null",
        "dies at once",
        "no folder",
        "nobody there",
    ],
)
async def test_a_server_that_never_works_is_named_with_the_reason(config: ServerConfig, said: str) -> None:
    async with running(config, timeouts=Timeouts(first_wait=0.1)) as servers:

        async def told() -> bool:
            health = await servers.health()
            return said in f"{health.reason}: {health.said}" and "it is being" not in health.reason

        await until(told)
        assert servers.tools() == ()
        assert not (await servers.health()).vital


async def test_a_server_that_hangs_is_named_and_ended() -> None:
    async with running(demo("--hang", start_timeout_s=2.0)) as servers:
        assert (await servers.health()).reason == "demo: it is being started, for at most 2 seconds"
        assert servers.off() == {"demo": "it is being started, for at most 2 seconds"}
        await until(lambda: "did not answer within 2 seconds of its start" in servers.off()["demo"])


async def test_no_program_is_left_behind(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"echo $$ > {note}; exec {sys.executable} -m testing.fakes.mcp_server"
    async with running(ServerConfig("demo", "sh", ("-c", script), cwd=str(ROOT))) as servers:
        await until(lambda: well(servers))
        process = Path("/proc") / note.read_text().strip()
        assert process.exists()
    await until(lambda: not process.exists())
