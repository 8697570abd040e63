"""The commands ``pipecatapp models`` and ``pipecatapp engine``.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 something was skipped because its source cannot be
reached (the starter set goes on working).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.errors import DownloadError, EngineError, SourceUnreachableError
from pipecatapp.llm import native, sources
from pipecatapp.llm.catalogue import Catalogue, Entry, installed_variant
from pipecatapp.llm.engine import EngineSupervisor
from pipecatapp.llm.engines import load_pins
from pipecatapp.llm.pull import ModelStore, UnverifiedError
from pipecatapp.llm.selection import main_models, starter_file
from pipecatapp.llm.status import EngineStatus, read_status
from pipecatapp.machine import Machine, detect

OK, FAILED, USAGE, SKIPPED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Places:
    """What these commands need of the settings."""

    engines: Path
    models: Path
    catalogue: Path
    llm_model: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8081
    build: bool | None = None

    def load_catalogue(self) -> Catalogue:
        """The catalogue of models."""
        return Catalogue.load(self.catalogue)


Command = Callable[[argparse.Namespace, Places], int]


def add_subcommands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``models`` and ``engine``; the chosen function lands in ``args.run`` and takes (args, places)."""
    models = commands.add_parser(
        "models", help="list, pull and verify models", epilog="Example: pipecatapp models list"
    )
    actions = models.add_subparsers(dest="action", required=True)
    listing = actions.add_parser(
        "list", help="what there is, and what fits this PC", epilog="Example: pipecatapp models list"
    )
    listing.set_defaults(run=list_models)
    pulling = actions.add_parser(
        "pull",
        help="download models, going on where an interrupted download stopped",
        epilog="Example: pipecatapp models pull qwen2.5-0.5b-instruct",
    )
    pulling.add_argument("names", nargs="*", metavar="NAME", help="models of the catalogue")
    pulling.add_argument("--for-this-pc", action="store_true", help="the best of each purpose that this PC can run")
    pulling.add_argument(
        "--accept-unverified", action="store_true", help="take files whose checksum is not known, and remember theirs"
    )
    pulling.set_defaults(run=pull_models)
    verifying = actions.add_parser(
        "verify", help="compare the files here with their checksums", epilog="Example: pipecatapp models verify"
    )
    verifying.add_argument("names", nargs="*", metavar="NAME", help="models of the catalogue; none: all that are here")
    verifying.set_defaults(run=verify_models)

    engine = commands.add_parser(
        "engine", help="run, fetch or build the engine", epilog="Example: pipecatapp engine status"
    )
    actions = engine.add_subparsers(dest="action", required=True)
    for name, run, text in (
        ("run", run_engine, "run llama-server and keep it alive until SIGTERM"),
        ("fetch", fetch_engine, "unpack Debian's llama-server into its own folder, if none is here"),
        ("build", build_engine, "build llama-server for exactly this CPU; used from its next start"),
        ("status", engine_status, "what the engine does now"),
    ):
        action = actions.add_parser(name, help=text, epilog=f"Example: pipecatapp engine {name}")
        action.set_defaults(run=run)


def list_models(args: argparse.Namespace, places: Places) -> int:
    """Print the catalogue with what fits this PC and what is here."""
    machine = detect()
    print(f"This PC: {machine.cpu}, {machine.cores} cores, {machine.ram_mb} MB. Models are in {places.models}\n")
    print(f"{'':2}{'NAME':26}{'FOR':11}{'SIZE':>8}{'RAM':>9}  {'LICENCE':22}")
    catalogue = places.load_catalogue()
    taken = catalogue.for_machine(machine)
    for entry in catalogue:
        print(_line(entry, machine, places.models, entry in taken))
    starter = starter_file(places.models)
    print(f"\n* here  + taken by --for-this-pc  - does not fit    starter model: {starter or 'not here'}")
    return OK


def pull_models(args: argparse.Namespace, places: Places) -> int:
    """Bring models here; an unreachable hub is no failure but has a status of its own."""
    catalogue, machine = places.load_catalogue(), detect()
    if bool(args.names) == args.for_this_pc:
        print("name the models to pull, or say --for-this-pc", file=sys.stderr)
        return USAGE
    entries = catalogue.for_machine(machine) if args.for_this_pc else [catalogue.find(name) for name in args.names]
    store = ModelStore(places.models, machine)
    worst = OK
    for entry in entries:
        model = entry.model
        print(f"{model.name} ({entry.purpose}, {model.licence})", flush=True)
        bar = _Bar()
        try:
            folder = store.pull(model, bar, accept_unverified=args.accept_unverified)
        except SourceUnreachableError as error:
            print(f"  skipped: {error}; the starter set goes on", flush=True)
            worst = worst or SKIPPED
        except UnverifiedError as error:
            print(f"  skipped: {error}", flush=True)
            worst = worst or (SKIPPED if args.for_this_pc else FAILED)
        except DownloadError as error:
            print(f"  failed: {error}", file=sys.stderr, flush=True)
            worst = FAILED
        else:
            print(f"  {'downloaded to' if bar.used else 'is in'} {folder}", flush=True)
    return worst


def verify_models(args: argparse.Namespace, places: Places) -> int:
    """Compare what is here with the catalogue's checksums."""
    catalogue = places.load_catalogue()
    store = ModelStore(places.models, detect())
    entries = [catalogue.find(name) for name in args.names] if args.names else list(catalogue)
    worst = OK
    for entry in entries:
        if installed_variant(places.models, entry.model) is None:
            if args.names:
                print(f"{entry.model.name}: not here; run: pipecatapp models pull {entry.model.name}")
                worst = FAILED
            continue
        problems = store.verify(entry.model)
        print(f"{entry.model.name}: {'; '.join(problems) or 'as it should be'}")
        worst = FAILED if problems else worst
    return worst


def run_engine(args: argparse.Namespace, places: Places) -> int:
    """Supervise a llama-server until SIGTERM or SIGINT."""
    machine = detect()
    models = main_models(places.llm_model, places.load_catalogue(), places.models, machine)
    supervisor = EngineSupervisor(
        engines=places.engines, models=models, host=places.host, port=places.port, build=places.build, machine=machine
    )
    asyncio.run(_until_signal(supervisor))
    return OK


def fetch_engine(args: argparse.Namespace, places: Places) -> int:
    """Have an engine ready to start."""
    try:
        engine = sources.find_engine(places.engines, detect(), _Steps())
    except (EngineError, OSError) as error:
        print(f"no engine: {error}", file=sys.stderr)
        return FAILED
    print(f"engine: {engine.name}")
    return OK


def build_engine(args: argparse.Namespace, places: Places) -> int:
    """Build for this CPU, in the foreground."""
    places.engines.mkdir(parents=True, exist_ok=True)
    try:
        engine = native.build(places.engines, load_pins()[1], detect(), _Steps())
    except (EngineError, OSError) as error:
        print(f"no engine was built: {error}", file=sys.stderr)
        return FAILED
    print(f"engine: {engine.name}; it is used from the engine's next start")
    return OK


def engine_status(args: argparse.Namespace, places: Places) -> int:
    """Print what the supervisor says; 0 only when the engine can answer."""
    status = read_status(places.engines / "status.json") or EngineStatus("stopped", "no engine was ever started here")
    progress = f" ({status.progress:.0%})" if status.progress is not None else ""
    print(f"state:  {status.state}{progress}\nreason: {status.reason}")
    for label, value in (
        ("engine", status.engine),
        ("model", status.model),
        ("url", status.url),
        ("build", status.build),
    ):
        if value:
            print(f"{label + ':':8}{value}")
    return OK if status.ready else FAILED


async def _until_signal(supervisor: EngineSupervisor) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await supervisor.start()
    await stop.wait()
    await supervisor.stop()


def _line(entry: Entry, machine: Machine, models: Path, taken: bool) -> str:
    model = entry.model
    variant = installed_variant(models, model) or model.variant_for(machine)
    mark = "*" if installed_variant(models, model) else "+" if taken else " "
    mark = mark if model.fits(machine) or mark == "*" else "-"
    size = f"{variant.size_mb} MB" if variant else "-"
    note = "" if variant is None or variant.verified else "  (checksum unknown)"
    name = f"{model.name:26}{entry.purpose:11}"
    return f"{mark:2}{name}{size:>8}{model.ram_mb:>6} MB  {model.licence}{note}"


class _Steps:
    """Shows the steps of a long work, one line each."""

    def __init__(self) -> None:
        self._last = ""
        self._at = 0.0

    def __call__(self, doing: str, progress: float | None) -> None:
        now = time.monotonic()
        if doing != self._last and (now - self._at > 1.0 or progress in (None, 1.0)):
            print(f"  {'' if progress is None else f'{progress:4.0%} '}{doing}", flush=True)
            self._last, self._at = doing, now


class _Bar:
    """Shows a download: rewritten on a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self.used = False
        self._at = 0.0

    def __call__(self, name: str, here: int, total: int | None) -> None:
        self.used = True
        now = time.monotonic()
        done = total is not None and here >= total
        if not done and now - self._at < (0.2 if sys.stdout.isatty() else 10.0):
            return
        self._at = now
        share = f"{here / total:4.0%}" if total else "    "
        end = "\r" if sys.stdout.isatty() and not done else "\n"
        print(f"  {share} {name} {here >> 20} MB", end=end, flush=True)
