"""The verbs ``extras``: the optional parts of the program."""

from __future__ import annotations

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import OK, Verbs


@click.group(cls=Verbs, example="pipecatapp extras install whisper")
def extras() -> None:
    """Optional parts: list and install them."""


# They belong to root, as the whole program does.
@extras.command("list", example="pipecatapp extras list", keeps_root=True)
def list_extras() -> int:
    """List the extras and whether they are installed."""
    from pipecatapp.extras import describe

    say(describe())
    return OK


@extras.command(example="pipecatapp extras install whisper", keeps_root=True)
@click.argument("name", help="Its name in `pipecatapp extras list`.")
def install(name: str) -> int:
    """Install an extra with its locked versions."""
    from pipecatapp.extras import install

    return install(name)
