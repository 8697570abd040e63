"""The verb ``serve``."""

from __future__ import annotations

import click

from pipecatapp.cli.verb import Verb


@click.command(cls=Verb, example="WEB_PORT=8080 pipecatapp serve")
def serve() -> int:
    """Run the agent and Mission Control."""
    from pipecatapp.cli.serving import run
    from pipecatapp.settings import load_settings

    return run(load_settings())
