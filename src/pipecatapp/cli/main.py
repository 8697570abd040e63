"""The root of the command line. Each verb imports what it needs when it runs: ``--help`` is quick on an old PC."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pipecatapp import __version__
from pipecatapp.cli.approvals import approvals
from pipecatapp.cli.backup import backup, restore
from pipecatapp.cli.bench import bench
from pipecatapp.cli.cluster import cluster
from pipecatapp.cli.commands import commands
from pipecatapp.cli.configuration import settings
from pipecatapp.cli.engine import engine
from pipecatapp.cli.expert import expert
from pipecatapp.cli.extras import extras
from pipecatapp.cli.memory import memory
from pipecatapp.cli.models import models
from pipecatapp.cli.power import power
from pipecatapp.cli.serve import serve
from pipecatapp.cli.ssh import ssh
from pipecatapp.cli.talk import ask, link, status
from pipecatapp.cli.terminal import fail
from pipecatapp.cli.verb import FAILED, INTERRUPTED, OK, USAGE, Verbs
from pipecatapp.errors import ConfigurationError, PipecatAppError


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    example="pipecatapp ask 'What can you do?'",
)
@click.version_option(__version__, message="pipecatapp %(version)s")
@click.pass_context
def program(context: click.Context) -> int:
    """A private voice assistant on this PC. Without a command: serve."""
    if context.invoked_subcommand is None:
        return int(context.invoke(serve) or OK)
    return OK


for verb in (
    serve,
    ask,
    link,
    status,
    approvals,
    cluster,
    power,
    models,
    engine,
    expert,
    bench,
    memory,
    backup,
    restore,
    extras,
    ssh,
    commands,
    settings,
):
    program.add_command(verb)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the return value is the exit code: 0 done, 1 failed, 2 wrong usage or configuration."""
    try:
        with program.make_context("pipecatapp", list(sys.argv[1:] if argv is None else argv)) as context:
            code = program.invoke(context)
        sys.stdout.flush()  # here a reader that is gone can still be told from a failure
        return int(code or OK)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except ConfigurationError as error:
        fail(error)
        return USAGE
    except PipecatAppError as error:
        fail(error)
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, grep -q) has seen enough. Python flushes once more at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
