"""The verbs ``bench``: how fast models are on the PCs of the house, measured and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import OK, Verbs, json_option

if TYPE_CHECKING:
    from pipecatapp.llm.engine import ModelFile
    from pipecatapp.settings import Settings
    from pipecatapp.speed.measurement import Measurement


@click.group(cls=Verbs, example="pipecatapp bench run")
def bench() -> None:
    """Measure models, and show what was measured in the house."""


@bench.command(example="pipecatapp bench run --model qwen2.5-3b-instruct")
@click.option(
    "--model", "models", multiple=True, help="A name of the catalogue or a GGUF; none: that of this PC's engine."
)
@click.option("--expert", type=click.Path(path_type=Path), help="The file of an expert that runs here or elsewhere.")
@click.option("--length", "lengths", multiple=True, type=click.IntRange(8, 100_000), help="Of prompts, in tokens.")
@json_option
def run(models: tuple[str, ...], expert: Path | None, lengths: tuple[int, ...], as_json: bool) -> int:
    """Measure prompts of 128, 1,024 and 4,096 tokens, and what is written behind each; keep the result.

    A model is loaded for that beside whatever runs: stop what you can, and have patience on an old PC. Of an expert its
    running engine is asked, so nobody else should be.
    """
    import asyncio

    from pipecatapp.settings import load_settings
    from pipecatapp.speed.measurement import LENGTHS

    if expert is not None and models:
        raise click.UsageError("--model and --expert: choose one")
    rows = asyncio.run(_run(load_settings(), models, expert, sorted(lengths) or LENGTHS))
    _print(rows, as_json=as_json)
    return OK


@bench.command(example="pipecatapp bench show")
@json_option
def show(as_json: bool) -> int:
    """Print what was measured in the house."""
    import asyncio

    from pipecatapp.settings import load_settings
    from pipecatapp.speed.part import create_results

    rows = asyncio.run(create_results(load_settings()).all())
    if not rows and not as_json:
        say("nothing was measured yet; run: pipecatapp bench run")
        return OK
    _print(rows, as_json=as_json)
    return OK


async def _run(
    settings: Settings, models: Sequence[str], expert: Path | None, lengths: Sequence[int]
) -> list[Measurement]:
    from pipecatapp.machine import detect
    from pipecatapp.speed.part import create_results

    results, rows = create_results(settings), []

    def left_out(text: str) -> None:
        say(f"left out: {text}", to_stderr=True)

    if expert is not None:
        from pipecatapp.expert_host.benchmark import measure_expert
        from pipecatapp.expert_host.spec import read_spec

        rows.append(await measure_expert(read_spec(expert), left_out, lengths))
        await results.keep(rows[0])
        return rows
    from pipecatapp.llm.sources import find_engine
    from pipecatapp.speed.own_engine import measure_here

    machine = detect()
    engine = find_engine(settings.engines, machine, packages=settings.engine_package_places)
    for model in [_file(settings, name) for name in models or [settings.llm_model]]:
        say(f"measuring {model.alias} with {engine.name}; this takes minutes", to_stderr=True)
        rows.append(await measure_here(engine, model.path, model.alias, machine, left_out, lengths))
        await results.keep(rows[-1])
    return rows


def _file(settings: Settings, wanted: str) -> ModelFile:
    """The file that a name stands for.

    Raises:
        ConfigurationError: it is not here.
    """
    from pipecatapp.errors import ConfigurationError
    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.selection import STARTER, main_models
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file

    found = main_models(wanted, Catalogue.load(models_file(settings)), settings.models, detect())[0]
    if found.alias == STARTER and wanted not in (STARTER, "auto") and not wanted.endswith(".gguf"):
        raise ConfigurationError(f"{wanted} is not here; run: pipecatapp models pull {wanted}")
    return found


def _print(rows: Sequence[Measurement], *, as_json: bool) -> None:
    import json

    if as_json:
        say(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    say(f"{'MODEL':27} {'NODE':12} {'ENGINE':8}{'READS':>20}{'WRITES':>20}{'LOAD':>8}{'RAM':>9}{'J/token':>9}")
    for row in rows:
        engine = row.engine if row.machines == 1 else f"{row.engine} x{row.machines}"
        prompt, written = (" / ".join(f"{speed:.1f}" for speed in of.values()) for of in (row.prompt, row.generated))
        load = f"{row.load_s:.1f} s" if row.load_s else "-"
        memory = f"{row.engine_mb} MB" if row.engine_mb else "-"
        joules = f"{row.joules_per_token:.1f}" if row.joules_per_token else "-"
        say(f"{row.model:27} {row.node:12} {engine:8}{prompt:>20}{written:>20}{load:>8}{memory:>9}{joules:>9}")
        say(f"  {row.quantization}, {row.build}, {row.cpu} with {row.cores} cores, {row.at:%Y-%m-%d}; prompts of "
            f"{', '.join(f'{length:,}' for length in row.prompt)} tokens")  # fmt: skip
