"""The sandbox for real: what tries to get out stays in, what takes too much is ended, and the agent goes on."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipecatapp.errors import ToolOffError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.code_runner import CodeRunner, choose
from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
from pipecatapp.tools.sandbox_watch import taken_by
from testing.fakes.escapes import Escape, load_escapes
from testing.fakes.processes import running, until

pytestmark = pytest.mark.integration

CONTEXT = ToolContext("c", "t")
TIGHT = Limits(seconds=5)


@dataclass(slots=True)
class Machine:
    """What an escape would reach."""

    secret: Path
    port: int
    abstract: str
    nap: str
    visitors: int = 0

    def fill(self, program: str) -> str:
        for name in ("secret", "port", "abstract", "nap"):
            program = program.replace(f"{{{name}}}", str(getattr(self, name)))
        return program.replace("{pid}", str(os.getpid()))


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    return BubblewrapSandbox()


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setenv("LLM_API_KEY", "secret-TOKEN")
    secret = tmp_path / "token"
    secret.write_text("secret-TOKEN")
    secret.chmod(0o600)
    machine = Machine(secret, 0, f"pipecatapp-test-{uuid.uuid4().hex}", f"{3600 + os.getpid()}.{time.monotonic_ns()}")

    async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine.visitors += 1
        writer.close()

    tcp = await asyncio.start_server(visited, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(visited, f"\0{machine.abstract}")
    machine.port = tcp.sockets[0].getsockname()[1]
    async with tcp, unix:
        yield machine


@pytest.mark.parametrize("escape", load_escapes(), ids=lambda escape: escape.name.replace(" ", "-"))
async def test_nothing_gets_out(escape: Escape, sandbox: BubblewrapSandbox, machine: Machine) -> None:
    ran = await sandbox.run(machine.fill(escape.program), TIGHT)
    assert ran.ending in escape.endings, ran
    assert "ESCAPED" not in ran.stdout
    assert "secret-TOKEN" not in ran.stdout + ran.stderr
    assert len(ran.stdout) + len(ran.stderr) < 200_000
    assert machine.visitors == 0
    assert not running(machine.nap)
    # The agent is alive and can run the next one.
    assert (await sandbox.run("6 * 7", TIGHT)).stdout == "42"


async def test_programs_do_not_see_each_other(sandbox: BubblewrapSandbox) -> None:
    await sandbox.run("open('/tmp/note', 'w').write('here')", TIGHT)
    ran = await sandbox.run("import os; os.listdir('/tmp')", TIGHT)
    assert ran.stdout == "[]"


async def test_several_at_once(sandbox: BubblewrapSandbox) -> None:
    ran = await asyncio.gather(*(sandbox.run(f"{n} * 2", TIGHT) for n in range(6)))
    assert [one.stdout for one in ran] == [str(n * 2) for n in range(6)]


async def test_cancelling_ends_the_program(sandbox: BubblewrapSandbox, machine: Machine) -> None:
    program = f"import os; os.execv('/usr/bin/sleep', ['sleep', '{machine.nap}'])"
    working = asyncio.create_task(sandbox.run(program, Limits()))
    await until(lambda: running(f"sleep {machine.nap}"))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not running(machine.nap)


@pytest.mark.parametrize("path", ["/dev/null", "/usr/bin/python3"])
async def test_a_lock_of_the_machine_stays_free(sandbox: BubblewrapSandbox, machine: Machine, path: str) -> None:
    program = f"""
import fcntl, os
file = open({path!r}, "rb")
fcntl.flock(file, fcntl.LOCK_EX)
os.set_inheritable(file.fileno(), True)
os.execv("/usr/bin/sleep", ["sleep", "{machine.nap}"])"""
    working = asyncio.create_task(sandbox.run(program, Limits()))
    await until(lambda: running(f"sleep {machine.nap}"))
    with Path(path).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_what_a_process_and_its_children_take_is_counted() -> None:
    child = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", "-c", "x = bytearray(50_000_000); input()", stdin=-1
    )
    try:
        await until(lambda: taken_by(child.pid).pages > 50_000_000)
        taken = taken_by(os.getpid())
        assert taken.pages > taken_by(child.pid).pages
        assert 0 < taken_by(child.pid).tables < taken.tables
    finally:
        child.kill()
        await child.wait()


@pytest.mark.parametrize(
    ("code", "text", "ok"),
    [
        ("print('hello')", "The program printed: hello", True),
        ("x = 6\nx * 7", "The program printed: 42", True),
        ("x = 1", "The program ran and printed nothing.", True),
        ("None", "The program ran and printed nothing.", True),
        ("1 / 0", "The program ended with ZeroDivisionError: division by zero.", False),
        ("print(1); raise SystemExit(3)", "The program ended with exit code 3. Until then it printed: 1", False),
        ("def f(:", "The program ended with SyntaxError: invalid syntax.", False),
        ("if __name__ == '__main__': print(len(__import__('sys').argv))", "The program printed: 1", True),
    ],
)
async def test_the_result_is_a_sentence(sandbox: BubblewrapSandbox, code: str, text: str, ok: bool) -> None:
    result = await CodeRunner(sandbox).run({"code": code}, CONTEXT)
    assert (result.text, result.ok) == (text, ok)


async def test_what_was_printed_before_the_end_is_told(sandbox: BubblewrapSandbox) -> None:
    runner = CodeRunner(sandbox, Limits(seconds=2))
    result = await runner.run({"code": "print('begun', flush=True)\nwhile True: pass"}, CONTEXT)
    assert result.text == "The program did not end within 2 seconds, so I stopped it. Until then it printed: begun"
    assert not result.ok


async def test_an_error_shows_the_line(sandbox: BubblewrapSandbox) -> None:
    result = await CodeRunner(sandbox).run({"code": "a = 1\nb = a / 0"}, CONTEXT)
    assert "line 2" in result.detail
    assert "b = a / 0" in result.detail
    assert "<string>" not in result.detail


def test_without_bubblewrap_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolOffError, match="apt-get install bubblewrap"):
        choose("bubblewrap", "")


def test_a_bubblewrap_that_may_not_make_namespaces_turns_it_off() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # it is started as nobody
        bwrap = Path(folder, "bwrap")
        bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        bwrap.chmod(0o755)
        with pytest.raises(ToolOffError, match="No permissions to create new namespace"):
            BubblewrapSandbox(str(bwrap))
