"""The verb ``settings``."""

from __future__ import annotations

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import OK, Verb, json_option


@click.command(cls=Verb, example="pipecatapp settings")
@json_option
def settings(as_json: bool) -> int:
    """Print the settings that hold."""
    from pipecatapp.settings import load_settings, printable

    say(printable(load_settings(), as_json=as_json))
    return OK
