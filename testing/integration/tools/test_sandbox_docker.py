"""The Docker sandbox against an engine's API: what it asks for, and what it does when the engine fails."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.code_runner import CodeRunner, choose
from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_docker import DockerSandbox
from pipecatapp.tools.seccomp import docker_profile
from testing.fakes.docker_engine import Behaviour, Container, DockerEngine
from testing.fakes.processes import until

pytestmark = pytest.mark.integration

CONTEXT = ToolContext("c", "t")
IMAGE = "python:3.13-slim"
LIMITS = Limits(seconds=2)


@pytest.fixture
async def engine() -> AsyncIterator[DockerEngine]:
    # A path for a socket is short.
    with tempfile.TemporaryDirectory() as folder:
        engine = DockerEngine(Path(folder, "docker.sock"))
        await engine.start()
        yield engine
        await engine.stop()


async def sandbox(engine: DockerEngine) -> DockerSandbox:
    return await asyncio.to_thread(DockerSandbox, IMAGE, engine.url)


async def test_a_program_runs_and_its_container_is_removed(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(stdout=b"42\n", stderr=b"a warning\n")
    ran = await (await sandbox(engine)).run("6 * 7", LIMITS)
    assert (ran.ending, ran.code, ran.stdout, ran.stderr) == ("exit", 0, "42", "a warning")
    assert engine.containers == {}


async def test_the_container_has_nothing_and_may_nothing(engine: DockerEngine) -> None:
    await (await sandbox(engine)).run("6 * 7", LIMITS)
    (config,) = engine.created
    host = config["HostConfig"]
    assert config["User"] == "65534:65534"
    assert config["Cmd"][-1] == "6 * 7"
    assert config["NetworkDisabled"] is True
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges", f"seccomp={docker_profile()}"]
    assert host["Memory"] == host["MemorySwap"] == LIMITS.memory_bytes
    assert host["PidsLimit"] == LIMITS.threads + 1
    assert host["IpcMode"] == "none"
    assert host["LogConfig"]["Type"] == "none"
    assert {"size=16777216", "nr_inodes=1000", "noexec"} <= set(host["Tmpfs"]["/tmp"].split(","))
    assert host["OomScoreAdj"] == 1000
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {
        "core": 1, "cpu": 3, "fsize": 16777216, "nofile": 64, "memlock": 0, "msgqueue": 0, "sigpending": 64,
    }  # fmt: skip
    assert not host.get("Binds")
    assert not host.get("Privileged")
    assert not any("TOKEN" in line or "KEY" in line for line in config["Env"])


async def test_an_endless_program_is_killed(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(stdout=b"begun\n", endless=True)
    result = await CodeRunner(await sandbox(engine), LIMITS).run({"code": "while True: pass"}, CONTEXT)
    assert result.text == "The program did not end within 2 seconds, so I stopped it. Until then it printed: begun"
    assert engine.containers == {}


async def test_a_flood_is_ended_and_not_kept(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(endless=True, flood=b"x" * 100_000)
    ran = await (await sandbox(engine)).run("flood", Limits(seconds=60))
    assert ran.ending == "output"
    assert len(ran.stdout) < 70_000
    assert engine.containers == {}


async def test_memory_that_ran_out_is_said(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(code=137, oom=True)
    result = await CodeRunner(await sandbox(engine), LIMITS).run({"code": "x"}, CONTEXT)
    assert result.text == "The program took more than 512 MB, so I stopped it."


async def test_an_error_of_the_program_is_said(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(stderr=b"Traceback\nValueError: no\n", code=1)
    result = await CodeRunner(await sandbox(engine), LIMITS).run({"code": "x"}, CONTEXT)
    assert result.text == "The program ended with ValueError: no."


async def test_cancelling_removes_the_container(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(endless=True)
    working = asyncio.create_task((await sandbox(engine)).run("x", Limits()))
    await until(lambda: any(c.status == "running" for c in engine.containers.values()))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await until(lambda: engine.containers == {})


async def test_an_absent_image_says_how_to_pull_it(engine: DockerEngine) -> None:
    engine.images.clear()
    with pytest.raises(ToolOffError, match=f"does not have the image {IMAGE}; run: docker pull {IMAGE}"):
        await sandbox(engine)


async def test_an_image_that_went_away_is_said(engine: DockerEngine) -> None:
    made = await sandbox(engine)
    engine.images.clear()
    with pytest.raises(ToolError, match=f"docker pull {IMAGE}"):
        await made.run("x", LIMITS)


async def test_an_engine_that_went_away_is_said(engine: DockerEngine) -> None:
    made = await sandbox(engine)
    await engine.stop()
    with pytest.raises(ToolError, match="Docker could not run the program"):
        await made.run("x", LIMITS)


async def test_an_engine_that_dies_under_a_program_is_said(engine: DockerEngine) -> None:
    engine.behaviour = Behaviour(endless=True)
    working = asyncio.create_task((await sandbox(engine)).run("x", Limits()))
    await until(lambda: any(c.status == "running" for c in engine.containers.values()))
    await engine.stop()
    with pytest.raises(ToolError, match="Docker could not run the program"):
        await working


async def test_an_engine_that_hangs_is_no_sandbox(engine: DockerEngine) -> None:
    engine.silent = True
    with pytest.raises(ToolOffError, match="does not answer"):
        await sandbox(engine)


async def test_no_engine_is_no_sandbox(tmp_path: Path) -> None:
    with pytest.raises(ToolOffError, match="there is no Docker engine"):
        DockerSandbox(IMAGE, f"unix://{tmp_path}/docker.sock")


async def test_what_a_killed_agent_left_is_removed(engine: DockerEngine) -> None:
    engine.containers["old"] = Container("old", {}, Behaviour(), status="running", created=1000.0)
    engine.containers["new"] = Container("new", {}, Behaviour(), status="running")
    await (await sandbox(engine)).run("6 * 7", LIMITS)
    assert list(engine.containers) == ["new"]


async def test_docker_is_taken_where_it_answers_and_bubblewrap_where_not(
    engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    assert (await asyncio.to_thread(choose, "auto", IMAGE)).name == "a Docker container"
    engine.images.clear()
    assert (await asyncio.to_thread(choose, "auto", IMAGE)).name == "the bubblewrap sandbox"
    with pytest.raises(ToolOffError):
        await asyncio.to_thread(choose, "docker", IMAGE)
    with pytest.raises(ToolOffError, match="CODE_SANDBOX=none"):
        choose("none", IMAGE)
