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
    from collections.abc import Sequence

    from pipecatapp.llm.catalogue import Entry, Model, Purpose
    from pipecatapp.llm.pull import ModelStore
    from pipecatapp.machine import Machine
    from pipecatapp.settings import Settings
    from pipecatapp.speed.forecast import Forecast
    from pipecatapp.speed.measurement import Measurement


# In the order in which they are fetched; the catalogue has them, too, and is not imported for `--help`.
_PURPOSES: tuple[Purpose, ...] = ("embedding", "stt", "tts", "main", "vision")

# As `machine.CpuClass` has them, oldest first.
_CPUS = ("core2", "penryn", "nehalem", "avx", "avx2", "avx512")


@click.group(cls=Verbs, example="pipecatapp models list")
def models() -> None:
    """List, pull and verify models."""


@models.command("list", example="pipecatapp models list")
def list_models() -> int:
    """Print what there is, what fits this PC, and how fast main models are on the house's PCs (~: a forecast)."""
    import asyncio
    import socket

    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.selection import starter_file
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings
    from pipecatapp.speed.forecast import forecasts

    settings, machine = load_settings(), detect()
    say(f"This PC: {machine.cpu}, {machine.cores} cores, {machine.ram_mb} MB. Models are in {settings.models}\n")
    say(f"{'':2}{'NAME':29}{'FOR':11}{'SIZE':>8}{'RAM':>9}  {'LICENCE':20} {'TOKENS/S':>12}")
    catalogue = Catalogue.load(models_file(settings))
    taken = catalogue.for_machine(machine)
    rows = asyncio.run(_measured(settings))
    speeds = {each.model: each for each in forecasts(catalogue.of("main"), machine, rows, socket.gethostname())}
    for entry in catalogue:
        speed = _speed(speeds.get(entry.model.name)) if entry.purpose == "main" else ""
        others = entry.model in catalogue.suiting(entry.purpose, machine)
        mark = "+" if entry in taken else "o" if others else " "
        say(f"{_line(entry, machine, settings.models, mark)} {speed}".rstrip())
    starter = starter_file(settings.models)
    say("\n* here  + taken by --for-this-pc  o taken where + cannot be had  - does not fit")
    say(f"starter model: {starter or 'not here'}")
    return OK


@models.command(example="pipecatapp models pull qwen2.5-0.5b-instruct")
@click.argument("names", nargs=-1, metavar="[NAME]...", help="Models of the catalogue.")
@click.option("--for-this-pc", is_flag=True, help="The best of each purpose that this PC can run and that can be had.")
@click.option("--purpose", "purposes", multiple=True, type=click.Choice(_PURPOSES), help="Of these purposes alone.")
@click.option("--from", "places", multiple=True, metavar="PATH", help="Look in this folder first.")
@click.option("--peer", "peers", multiple=True, metavar="URL", help="Ask this PC first; `models share` runs there.")
@click.option("--for-cpu", type=click.Choice(_CPUS), help="The files that suit this class of processor, not this PC's.")
def pull(
    names: tuple[str, ...],
    for_this_pc: bool,
    purposes: tuple[Purpose, ...],
    places: tuple[str, ...],
    peers: tuple[str, ...],
    for_cpu: str | None,
) -> int:
    """Download models, going on where an interrupted download stopped.

    Each file comes through the first door that has it: the folders named with --from, the PCs named with --peer, its
    publisher, the package index. The exit code is 3 where a source cannot be reached: the agent goes on with what is
    here.
    """
    if bool(names) == for_this_pc:
        raise click.UsageError("name the models to pull, or say --for-this-pc")
    if names and purposes:
        raise click.UsageError("--purpose belongs to --for-this-pc")
    if for_this_pc and for_cpu:
        raise click.UsageError("--for-cpu belongs to models that are named")
    from dataclasses import replace

    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.pull import ModelStore
    from pipecatapp.machine import CpuClass, detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings, machine = load_settings(), detect()
    if for_cpu:
        # An expert of several machines has one file on all of them: that for the oldest.
        machine = replace(machine, cpu=CpuClass(for_cpu))
    catalogue = Catalogue.load(models_file(settings))
    store = ModelStore(settings.models, machine, places=[Path(place) for place in places], peers=peers)
    if for_this_pc:
        # What is small first: the agent can use it while the rest is on its way.
        choices = [(p, catalogue.suiting(p, machine)) for p in purposes or _PURPOSES]
    else:
        choices = [(entry.purpose, [entry.model]) for entry in map(catalogue.find, names)]
    codes = [_pull_one_of(store, purpose, models) for purpose, models in choices if models]
    return max(codes, default=OK, key=[OK, SKIPPED, FAILED].index)


@models.command("import", example="pipecatapp models import /media/usb")
@click.argument("place", metavar="PATH", help="A folder, at any depth, or one file.")
def import_models(place: str) -> int:
    """Take models from a folder or USB stick; files are known by their checksums, whatever they are called."""
    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.model_doors import FolderDoor
    from pipecatapp.llm.pull import ModelStore
    from pipecatapp.machine import detect
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings = load_settings()
    catalogue = Catalogue.load(models_file(settings))
    door = FolderDoor(Path(place))
    door.check()
    store = ModelStore(settings.models, detect(), doors=[door])
    shared = catalogue.shared_files()
    found, worst = 0, OK
    for entry in catalogue:
        model = entry.model
        if (variant := store.recognise(model, door, shared)) is None:
            continue
        found += 1
        say(f"{model.name} ({entry.purpose}, {model.licence})")
        try:
            store.pull(model, Bar(), _arrived, variant)
        except DownloadError as error:
            say(f"  not whole: {error}; the rest: pipecatapp models pull {model.name}", to_stderr=True)
            worst = FAILED
        else:
            say(f"  is in {store.folder / model.name}")
    if not found:
        say(f"no file in {place} is one of the catalogue's", to_stderr=True)
    return worst if found else FAILED


@models.command(example="pipecatapp models share --bind 192.168.1.10")
@click.option("--bind", required=True, metavar="ADDRESS", help="This PC's address in the house.")
@click.option("--port", default=8190, show_default=True, help="Where to listen.")
def share(bind: str, port: int) -> int:
    """Give the models that are here to other PCs of the house, until SIGTERM or Ctrl-C."""
    import contextlib

    from pipecatapp.llm.catalogue import Catalogue
    from pipecatapp.llm.sharing import SharingServer, shared_files
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings = load_settings()
    catalogue = Catalogue.load(models_file(settings))
    try:
        server = SharingServer(bind, port, catalogue, settings.models)
    except OSError as error:
        say(f"{bind} port {port} cannot be listened on: {error.strerror or error}", to_stderr=True)
        return FAILED
    say(f"{len(shared_files(catalogue, settings.models))} files; take them with: pipecatapp models pull NAME --peer "
        f"http://{f'[{bind}]' if ':' in bind else bind}:{port}")  # fmt: skip
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return OK


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


def _pull_one_of(store: ModelStore, purpose: Purpose, models: Sequence[Model]) -> int:
    """Pull the best of these that can be had; the exit code."""
    code = OK
    for model in models:
        say(f"{model.name} ({purpose}, {model.licence})")
        try:
            folder, fetched = _pull(store, model)
        except SourceUnreachableError as error:
            say(f"  skipped: {error}; the starter set goes on")
            code = SKIPPED
        except DownloadError as error:
            say(f"  failed: {error}", to_stderr=True)
            code = FAILED
        except KeyboardInterrupt:
            say("  stopped; the same command goes on where it stopped", to_stderr=True)
            raise
        else:
            say(f"  {'downloaded to' if fetched else 'is in'} {folder}")
            return OK
    return code


def _pull(store: ModelStore, model: Model) -> tuple[Path, bool]:
    """Pull it, shown here and on the page; its folder, and whether anything was fetched."""
    from pipecatapp.llm.fetching import FetchReport

    bar, report = Bar(), FetchReport(store.folder, model.name)

    def progress(name: str, here: int, total: int | None) -> None:
        bar(name, here, total)
        report(name, here, total)

    try:
        return store.pull(model, progress, _arrived), bar.used
    finally:
        report.close()


def _arrived(file: str, door: str) -> None:
    say(f"  {file}: from {door}; the checksum is right")


def _line(entry: Entry, machine: Machine, models: Path, taken: str) -> str:
    from pipecatapp.llm.catalogue import installed_variant

    model = entry.model
    variant = installed_variant(models, model) or model.variant_for(machine)
    mark = "*" if installed_variant(models, model) else taken
    mark = mark if model.fits(machine) or mark == "*" else "-"
    size = f"{variant.size_mb} MB" if variant else "-"
    name = f"{model.name:29}{entry.purpose:11}"
    return f"{mark:2}{name}{size:>8}{model.ram_mb:>6} MB  {model.licence:20}"


async def _measured(settings: Settings) -> list[Measurement]:
    """What was measured; where nobody can say, nothing, and why."""
    from pipecatapp.cluster.consul import ConsulUnreachableError
    from pipecatapp.errors import ConfigurationError
    from pipecatapp.speed.part import create_results

    try:
        return await create_results(settings).all()
    except (ConsulUnreachableError, ConfigurationError) as error:
        say(f"without what was measured: {error}", to_stderr=True)
        return []


def _speed(of: Forecast | None) -> str:
    """Measured, with what the forecast would have missed it by; or forecast, with its bounds."""
    if of is None:
        return f"{'-':>12}"
    if of.basis == "measured":
        return f"{of.tokens_per_s:12.1f}  measured on {of.node}; the forecast was {of.off:.0%} off"
    where = f"on {of.machines} PCs" if of.machines > 1 else f"on {of.node}"
    return f"{f'~{of.tokens_per_s:.1f}':>12}  {of.low:.1f} to {of.high:.1f} {where}"
