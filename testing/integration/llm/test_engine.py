"""The supervisor and a real llama-server: ready, killed, hung, misconfigured, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pipecatapp.domain import Message
from pipecatapp.errors import EngineError, ModelError
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor, ModelFile
from pipecatapp.llm.engines import Engine
from pipecatapp.llm.status import read_status
from pipecatapp.machine import CPU_CLASS_VARIABLE
from pipecatapp.ports import ChatRequest
from testing.fakes.gguf import write_random_model

pytestmark = pytest.mark.integration

Make = Callable[..., EngineSupervisor]
HELLO = ChatRequest([Message("user", "hello")], max_tokens=3)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def ask(model: OpenAIChatModel) -> int:
    chunks = [chunk async for chunk in model.stream(HELLO)]
    assert chunks[-1].usage is not None
    return chunks[-1].usage.generated_tokens


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_ready_means_that_it_answered(running: EngineSupervisor, model: OpenAIChatModel) -> None:
    assert await ask(model) == 3

    status = read_status(running.status_file)
    assert status == running.status
    assert status is not None
    assert (status.state, status.model, status.url) == ("ready", "starter-random", running.base_url)
    assert (await running.health()).ok
    assert (await model.profile()).context_tokens == 2048
    assert "loading model" in running.log_file.read_text()


async def test_only_who_has_the_key_may_ask(running: EngineSupervisor) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{running.base_url}/chat/completions", json={"messages": []})

    assert answer.status_code == 401
    assert running.key_file.stat().st_mode & 0o777 == 0o600


async def test_a_killed_engine_comes_back_and_says_why_it_was_away(
    running: EngineSupervisor, model: OpenAIChatModel
) -> None:
    await ask(model)
    first = running.status.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await until(lambda: not running.status.ready)
    away = await model.health()
    with pytest.raises(ModelError):
        await ask(model)
    await until(lambda: running.status.ready)

    assert not away.ok
    assert "SIGKILL" in away.reason
    assert not alive(first)
    assert (running.status.restarts, running.status.pid != first) == (1, True)
    assert await ask(model) == 3


async def test_an_engine_that_hangs_is_replaced(running: EngineSupervisor, model: OpenAIChatModel) -> None:
    first = running.status.pid
    assert first is not None

    os.kill(first, signal.SIGSTOP)
    await until(lambda: not running.status.ready)
    reason = running.status.reason
    await until(lambda: running.status.ready)

    assert "did not answer" in reason
    assert not alive(first)
    assert await ask(model) == 3


async def test_stopping_leaves_no_process_and_no_ready_status(running: EngineSupervisor) -> None:
    pid = running.status.pid
    assert pid is not None

    await running.stop()

    assert not alive(pid)
    status = read_status(running.status_file)
    assert status is not None
    assert (status.state, status.pid) == ("stopped", None)


async def test_a_taken_port_is_told_and_waited_for(supervisors: Make, random_model: Path, free_port: int) -> None:
    supervisor = supervisors(ModelFile(random_model, "m"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        await supervisor.start()
        with pytest.raises(EngineError, match=f"port {free_port} .* ENGINE_PORT"):
            await supervisor.wait_ready()

    await until(lambda: supervisor.status.ready)


async def test_a_damaged_model_gives_way_to_the_starter(supervisors: Make, random_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "big.gguf"
    damaged.write_bytes(random_model.read_bytes()[:500_000])
    supervisor = supervisors(ModelFile(damaged, "big"), ModelFile(random_model, "starter"))

    await supervisor.start()
    await until(lambda: supervisor.status.ready)

    assert supervisor.status.model == "starter"
    assert "big.gguf is damaged" in supervisor.status.reason


async def test_a_model_that_the_engine_refuses_gives_way_too(
    supervisors: Make, random_model: Path, tmp_path: Path
) -> None:
    # Whole by its header, but of an architecture that no engine knows.
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(random_model.read_bytes().replace(b"llama", b"lhama"))
    supervisor = supervisors(ModelFile(strange, "strange"), ModelFile(random_model, "starter"))

    await supervisor.start()
    await until(lambda: supervisor.status.ready)

    assert supervisor.status.model == "starter"
    assert "strange does not load" in supervisor.status.reason


async def test_with_no_engine_the_reason_is_told(supervisors: Make, random_model: Path, tmp_path: Path) -> None:
    def find(*arguments: object) -> Engine:
        raise EngineError("no mirror")

    # No disk, so that the build which is tried instead ends at once.
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/.build").write_text("in the way")
    supervisor = supervisors(ModelFile(random_model, "m"), find=find)

    await supervisor.start()
    with pytest.raises(EngineError, match="no mirror"):
        await supervisor.wait_ready()


@pytest.fixture
def program(engine: Engine, random_model: Path, tmp_path: Path, free_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``pipecatapp engine run`` as a process of its own, on a starter model."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/starter.gguf").symlink_to(random_model)
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / engine.name).symlink_to(Path(engine.command[0]).parents[3])
    # The class of a CPU that needs no build of its own.
    environment = {
        **os.environ,
        CPU_CLASS_VARIABLE: "avx2",
        "PIPECATAPP_CONFIG": str(tmp_path / "none.env"),
        "STATE_DIR": str(tmp_path),
        "LLM_MODEL": "starter",
        "ENGINE_PORT": str(free_port),
    }
    process = subprocess.Popen([sys.executable, "-m", "pipecatapp", "engine", "run"], env=environment)
    yield process
    process.kill()
    process.wait()


async def engine_pid(status_file: Path) -> int:
    await until(lambda: (status := read_status(status_file)) is not None and status.ready)
    status = read_status(status_file)
    assert status is not None
    assert status.pid is not None
    return status.pid


async def test_the_engine_dies_with_its_supervisor(program: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid = await engine_pid(tmp_path / "engine/status.json")

    program.kill()
    program.wait()
    await until(lambda: not alive(pid), 10)

    status = read_status(tmp_path / "engine/status.json")
    assert status is not None
    assert status.state == "stopped"


async def test_sigterm_ends_supervisor_and_engine_in_order(program: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid = await engine_pid(tmp_path / "engine/status.json")

    program.terminate()
    code = await asyncio.to_thread(program.wait, 30)

    assert code == 0
    assert not alive(pid)


async def test_a_model_in_parts_is_loaded_whole_also_through_links(supervisors: Make, tmp_path: Path) -> None:
    stored, linked = tmp_path / "stored", tmp_path / "linked"
    stored.mkdir()
    linked.mkdir()
    write_random_model(stored / "big.gguf", tensors_per_part=20)
    for number, part in enumerate(sorted(stored.iterdir())):  # as a cache keeps files by their checksums
        (linked / part.name).symlink_to(part.rename(stored / f"{number:064}"))
    supervisor = supervisors(ModelFile(linked / "big-00001-of-00002.gguf", "big", 2048))
    await supervisor.start()
    async with asyncio.timeout(60):
        await supervisor.wait_ready()
    assert supervisor.status.model == "big"


async def test_a_model_of_which_a_part_is_missing_is_named(
    supervisors: Make, random_model: Path, tmp_path: Path
) -> None:
    write_random_model(tmp_path / "big.gguf", tensors_per_part=20)
    (tmp_path / "big-00002-of-00002.gguf").unlink()
    first = tmp_path / "big-00001-of-00002.gguf"
    supervisor = supervisors(ModelFile(first, "big"), ModelFile(random_model, "starter", 2048))
    await supervisor.start()
    async with asyncio.timeout(60):
        await supervisor.wait_ready()
    assert "big-00002-of-00002.gguf is not in" in supervisor.status.reason
