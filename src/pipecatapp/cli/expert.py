"""The verbs ``expert``: run one rank of an expert as a job of Nomad, and say what would be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, Verbs

if TYPE_CHECKING:
    from pipecatapp.expert_host.spec import ExpertSpec

SPEC = click.argument(
    "spec", type=click.Path(path_type=Path), help="The expert's file, as deploy_expert.yaml writes it."
)


@click.group(cls=Verbs, example="pipecatapp expert plan /opt/pipecatapp/experts/creative-expert.json")
def expert() -> None:
    """Run an expert on one machine or several (jobs of Nomad do)."""


@expert.command(example="pipecatapp expert run /opt/pipecatapp/experts/creative-expert.json")
@SPEC
def run(spec: Path) -> int:
    """Supervise this machine's part of the expert until SIGTERM; Nomad's environment says which part."""
    import asyncio

    from pipecatapp.cli.serving import log_to_stderr
    from pipecatapp.expert_host.spec import read_spec
    from pipecatapp.settings import load_settings

    log_to_stderr(load_settings().log_level)
    asyncio.run(_run(read_spec(spec)))
    return OK


@expert.command(example="pipecatapp expert plan /opt/pipecatapp/experts/creative-expert.json")
@SPEC
def plan(spec: Path) -> int:
    """Say which engine, model and layers would be chosen for the machines that are there, and why."""
    import asyncio

    from pipecatapp.expert_host.part import look_around
    from pipecatapp.expert_host.spec import read_spec

    verdict, states = asyncio.run(look_around(read_spec(spec)))
    names = {state.rank: state.facts.name for state in states}
    for state in sorted(states, key=lambda state: state.rank):
        facts = state.facts
        models = ", ".join(sorted(facts.models)) or "none"
        say(f"rank {state.rank}: {facts.name} ({facts.cpu}): {facts.free_mb} MB free, models: {models}; {state.why}")
        for fault in facts.faults.values():
            say(f"  wrong: {fault}")
    if verdict.choice is None:
        say(verdict.why or "no rank answers", to_stderr=True)
        return FAILED
    choice = verdict.choice
    say(f"model:  {choice.model}\nengine: {choice.engine}\ncontext: {choice.context} tokens")
    for share in choice.shares:
        say(f"  {names[share.rank]}: {share.layers} layers, {share.bytes >> 20} MB")
    say(f"forecast: {choice.tokens_per_s:.1f} tokens a second (not measured)\nwhy: {verdict.why}")
    return OK


async def _run(spec: ExpertSpec) -> None:
    import asyncio
    import os
    import signal

    from pipecatapp.expert_host.part import run_expert

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_expert(spec, os.environ, stop)
