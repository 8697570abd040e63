"""The verbs ``models``: what there is, what is here, what fits this PC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.progress import Bar
from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, SKIPPED, Verbs
from pipecatapp.errors import DownloadError, SourceUnreachableError

if TYPE_CHECKING:
    from pipecatapp.llm.catalogue import Entry
    from pipecatapp.machine import Machine


@click.group(cls=Verbs, example="pipecatapp models list")
def models() -> None:
    """List, pull and verify models."""


@models.command("list", example="pipecatapp models list")
def list_models() -> int:
    """Print what there is, and what fits this PC."""
    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.selection import starter_file
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings, machine = load_settings(), detect()
    say(f"This PC: {machine.cpu}, {machine.cores} cores, {machine.ram_mb} MB. Models are in {settings.models}\n")
    say(f"{'':2}{'NAME':26}{'FOR':11}{'SIZE':>8}{'RAM':>9}  {'LICENCE':22}")
    catalogue = Catalogue.load(models_file(settings))
    taken = catalogue.for_machine(machine)
    for entry in catalogue:
        say(_line(entry, machine, settings.models, entry in taken))
    starter = starter_file(settings.models)
    say(f"\n* here  + taken by --for-this-pc  - does not fit    starter model: {starter or 'not here'}")
    return OK


@models.command(example="pipecatapp models pull qwen2.5-0.5b-instruct")
@click.argument("names", nargs=-1, metavar="[NAME]...", help="Models of the catalogue.")
@click.option("--for-this-pc", is_flag=True, help="The best of each purpose that this PC can run.")
def pull(names: tuple[str, ...], for_this_pc: bool) -> int:
    """Download models, going on where an interrupted download stopped.

    The exit code is 3 where a source cannot be reached: the agent goes on with what is here.
    """
    if bool(names) == for_this_pc:
        raise click.UsageError("name the models to pull, or say --for-this-pc")
    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.pull import ModelStore
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings, machine = load_settings(), detect()
    catalogue = Catalogue.load(models_file(settings))
    entries = catalogue.for_machine(machine) if for_this_pc else [catalogue.find(name) for name in names]
    store = ModelStore(settings.models, machine)
    worst = OK
    for entry in entries:
        model = entry.model
        say(f"{model.name} ({entry.purpose}, {model.licence})")
        bar = Bar()
        try:
            folder = store.pull(model, bar)
        except SourceUnreachableError as error:
            say(f"  skipped: {error}; the starter set goes on")
            worst = worst or SKIPPED
        except DownloadError as error:
            say(f"  failed: {error}", to_stderr=True)
            worst = FAILED
        else:
            say(f"  {'downloaded to' if bar.used else 'is in'} {folder}")
    return worst


@models.command(example="pipecatapp models verify")
@click.argument("names", nargs=-1, metavar="[NAME]...", help="Models of the catalogue; none: all that are here.")
def verify(names: tuple[str, ...]) -> int:
    """Compare the files here with their checksums."""
    from pipecatapp.llm.catalogue import Catalogue, installed_variant
    from pipecatapp.llm.pull import ModelStore
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings = load_settings()
    catalogue = Catalogue.load(models_file(settings))
    store = ModelStore(settings.models, detect())
    worst = OK
    for entry in [catalogue.find(name) for name in names] if names else list(catalogue):
        if installed_variant(settings.models, entry.model) is None:
            if names:
                say(f"{entry.model.name}: not here; run: pipecatapp models pull {entry.model.name}")
                worst = FAILED
            continue
        problems = store.verify(entry.model)
        say(f"{entry.model.name}: {'; '.join(problems) or 'as it should be'}")
        worst = FAILED if problems else worst
    return worst


def _line(entry: Entry, machine: Machine, models: Path, taken: bool) -> str:
    from pipecatapp.llm.catalogue import installed_variant

    model = entry.model
    variant = installed_variant(models, model) or model.variant_for(machine)
    mark = "*" if installed_variant(models, model) else "+" if taken else " "
    mark = mark if model.fits(machine) or mark == "*" else "-"
    size = f"{variant.size_mb} MB" if variant else "-"
    name = f"{model.name:26}{entry.purpose:11}"
    return f"{mark:2}{name}{size:>8}{model.ram_mb:>6} MB  {model.licence}"
