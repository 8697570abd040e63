"""The verbs ``engine``: run, fetch and build the llama-server of this PC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipecatapp.cli.progress import Steps
from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, Verbs
from pipecatapp.errors import EngineError

if TYPE_CHECKING:
    from pipecatapp.llm.engine import EngineSupervisor


@click.group(cls=Verbs, example="pipecatapp engine status")
def engine() -> None:
    """Run, fetch or build the engine."""


@engine.command(example="pipecatapp engine run")
def run() -> int:
    """Run llama-server and keep it alive until SIGTERM."""
    import asyncio

    from pipecatapp.llm.part import create_supervisor
    from pipecatapp.settings import load_settings

    asyncio.run(_until_signal(create_supervisor(load_settings())))
    return OK


@engine.command(example="pipecatapp engine fetch")
def fetch() -> int:
    """Unpack Debian's llama-server into its own folder, if none is here."""
    from pipecatapp.llm import sources
    from pipecatapp.machine import detect
    from pipecatapp.settings import load_settings

    try:
        found = sources.find_engine(load_settings().engines, detect(), Steps())
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
    engines.mkdir(parents=True, exist_ok=True)
    try:
        built = native.build(engines, load_pins()[1], detect(), Steps())
    except (EngineError, OSError) as error:
        say(f"no engine was built: {error}", to_stderr=True)
        return FAILED
    say(f"engine: {built.name}; it is used from the engine's next start")
    return OK


@engine.command(example="pipecatapp engine status")
def status() -> int:
    """Say what the engine does now."""
    from pipecatapp.llm.status import EngineStatus, read_status
    from pipecatapp.settings import load_settings

    state = read_status(load_settings().engines / "status.json")
    state = state or EngineStatus("stopped", "no engine was ever started here")
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
