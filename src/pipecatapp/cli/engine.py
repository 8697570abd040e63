"""The verbs ``engine``: run, fetch and build the llama-server of this PC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipecatapp.cli.progress import Steps
from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, Verbs
from pipecatapp.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipecatapp.llm.engine import EngineSupervisor
    from pipecatapp.llm.engines import Engine, Progress


@click.group(cls=Verbs, example="pipecatapp engine status")
def engine() -> None:
    """Run, fetch or build the engine."""


@engine.command(example="pipecatapp engine run")
@click.option("--prepared", is_flag=True, help="Fetch and build nothing: `pipecatapp engine prepare` does.")
def run(prepared: bool) -> int:
    """Run llama-server and keep it alive until SIGTERM."""
    import asyncio

    from pipecatapp.llm.part import create_supervisor
    from pipecatapp.settings import load_settings

    asyncio.run(_until_signal(create_supervisor(load_settings(), prepared=prepared)))
    return OK


@engine.command(example="pipecatapp engine fetch")
@click.option("--rpc", is_flag=True, help="Have Debian's RPC server here, too: for experts on several machines.")
def fetch(*, rpc: bool) -> int:
    """Unpack Debian's llama-server into its own folder, if none is here."""
    from pipecatapp.llm import debian, sources
    from pipecatapp.llm.engines import load_pins
    from pipecatapp.machine import detect
    from pipecatapp.settings import load_settings

    settings = load_settings()
    try:
        found = sources.find_engine(settings.engines, detect(), Steps(), settings.engine_package_places)
        if rpc and debian.with_rpc(settings.engines) is None:
            found = debian.fetch(settings.engines, load_pins()[0], Steps(), settings.engine_package_places)
    except (EngineError, OSError) as error:
        say(f"no engine: {error}", to_stderr=True)
        return FAILED
    say(f"engine: {found.name}")
    return OK


@engine.command(example="pipecatapp engine build")
def build() -> int:
    """Build llama-server for exactly this CPU; used from its next start."""
    from pipecatapp.llm import native
    from pipecatapp.llm.engines import load_pins
    from pipecatapp.machine import detect
    from pipecatapp.settings import load_settings

    engines = load_settings().engines
    return _prepare(engines, lambda steps: native.build(engines, load_pins()[1], detect(), steps))


@engine.command(example="pipecatapp engine prepare")
def prepare() -> int:
    """Fetch an engine if none is here, and build one where that pays."""
    from pipecatapp.llm import native, sources
    from pipecatapp.machine import detect
    from pipecatapp.settings import load_settings

    settings, machine = load_settings(), detect()
    wanted = native.wanted(machine) if settings.builds_engine is None else settings.builds_engine
    places = settings.engine_package_places
    return _prepare(
        settings.engines, lambda steps: sources.prepare(settings.engines, machine, steps, places, build=wanted)
    )


@engine.command(example="pipecatapp engine status")
def status() -> int:
    """Say what the engine does now."""
    from pipecatapp.llm.status import EngineStatus, read_preparation, read_status
    from pipecatapp.settings import load_settings

    file = load_settings().engines / "status.json"
    never = EngineStatus("stopped", "no engine was ever started here", build=read_preparation(file)[0])
    state = read_status(file) or never
    progress = f" ({state.progress:.0%})" if state.progress is not None else ""
    say(f"state:  {state.state}{progress}\nreason: {state.reason}")
    for label, value in (
        ("engine", state.engine),
        ("model", state.model),
        ("url", state.url),
        ("build", state.build),
    ):
        if value:
            say(f"{label + ':':8}{value}")
    return OK if state.ready else FAILED


def _prepare(engines: Path, work: Callable[[Progress], Engine]) -> int:
    """Do it, telling the terminal and, beside the engine's status, everybody else."""
    from pipecatapp.llm.sources import present_engine
    from pipecatapp.llm.status import write_preparation
    from pipecatapp.machine import detect

    status, steps, problem = engines / "status.json", Steps(), ""

    def show(doing: str, progress: float | None) -> None:
        nonlocal problem
        problem = doing if doing.startswith("no engine") else ""
        write_preparation(status, doing, progress)
        steps(doing, progress)

    engines.mkdir(parents=True, exist_ok=True)
    before = present_engine(engines, detect())
    try:
        engine = work(show)
    except (EngineError, OSError) as error:
        write_preparation(status, f"no engine could be built: {error}", None, over=True)
        say(f"no engine was built: {error}", to_stderr=True)
        return FAILED
    new = before is None or before.name != engine.name
    how = "an engine for this CPU is built; it takes over at the next restart" if new else ""
    write_preparation(status, problem or how, None, over=True)
    say(f"engine: {engine.name}{'; it is used from the next start' if new else ''}")
    return OK


async def _until_signal(supervisor: EngineSupervisor) -> None:
    import asyncio
    import signal

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await supervisor.start()
    await stop.wait()
    await supervisor.stop()
