"""Control groups around a program, where this machine gives some: as root, or in a unit with ``Delegate=``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
from pipecatapp.tools.sandbox_cgroup import Group, Groups, find_groups
from testing.fakes.escapes import load_hoards
from testing.fakes.processes import running, until

pytestmark = pytest.mark.integration

MB = 1024 * 1024


@pytest.fixture
def groups() -> Groups:
    found = find_groups()
    if found is None:
        pytest.skip("this machine gives no control groups; run as root, or in a unit with Delegate=")
    return found


@pytest.fixture
def sandbox(groups: Groups) -> BubblewrapSandbox:
    return BubblewrapSandbox(groups=groups)


def folder(group: Group) -> Path:
    return Path(f"/proc/self/fd/{group.doors[0]}").readlink().parent


async def test_what_takes_more_than_its_group_allows_is_ended(groups: Groups) -> None:
    group = groups.make(Limits(memory_bytes=64 * MB))
    try:
        enter = " ".join(f"echo 0 >&{door};" for door in group.doors)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f"{enter} exec python3 -c 'x = bytearray(b\"x\" * 300_000_000)'"), pass_fds=group.doors
        )
        assert await process.wait() == -9
        assert group.ran_out()
    finally:
        await group.remove()


async def test_a_group_is_gone_with_its_program(groups: Groups) -> None:
    group = groups.make(Limits())
    place = folder(group)
    assert place.is_dir()
    await group.remove()
    assert not place.exists()


async def test_all_of_a_program_is_in_its_group(sandbox: BubblewrapSandbox) -> None:
    nap = f"{3600 + os.getpid()}.25"
    program = f"import os; os.execv('/usr/bin/sleep', ['sleep', '{nap}'])"
    working = asyncio.create_task(sandbox.run(program, Limits()))
    await until(lambda: running(f"sleep {nap}"))
    inside = [p.parent for p in Path("/proc").glob("[0-9]*/cmdline") if nap in p.read_text(errors="replace")]
    assert len(inside) >= 3  # bubblewrap outside, bubblewrap inside, the program
    assert all(f"pipecatapp-sandbox-{os.getpid()}-" in (p / "cgroup").read_text() for p in inside)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


class Tight:
    """Groups with less memory than the program may take by its own limits, so that the group's is reached first."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def make(self, limits: Limits) -> Group:
        return self._groups.make(Limits(memory_bytes=40 * MB))


async def test_a_program_that_its_group_ended_took_too_much(groups: Groups) -> None:
    sandbox = await asyncio.to_thread(BubblewrapSandbox, groups=Tight(groups))
    ran = await sandbox.run("print('begun', flush=True)\nx = b'x' * 200_000_000", Limits())
    assert (ran.ending, ran.stdout) == ("memory", "begun")


async def test_caches_are_within_the_group_too(sandbox: BubblewrapSandbox) -> None:
    (names,) = (hoard for hoard in load_hoards() if hoard.name == "names that are not there")
    ran = await sandbox.run(names.program, Limits(memory_bytes=150 * MB))
    assert (ran.ending, ran.code) == ("exit", 0), ran
    assert (await sandbox.run("6 * 7", Limits())).stdout == "42"
