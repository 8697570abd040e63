"""What a program in the sandbox can do: all of Python's library that calculates."""

from __future__ import annotations

import pytest

from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
from testing.fakes.escapes import Escape, load_programs

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    return BubblewrapSandbox()


@pytest.mark.parametrize("program", load_programs(), ids=lambda program: program.name.replace(" ", "-"))
async def test_python_works_inside(program: Escape, sandbox: BubblewrapSandbox) -> None:
    ran = await sandbox.run(program.program, Limits())
    assert (ran.ending, ran.code, ran.stdout) == ("exit", 0, "fine"), ran.stderr
