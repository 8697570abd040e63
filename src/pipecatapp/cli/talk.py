"""The verbs ``ask``, ``link`` and ``status``: what one says to a running agent every day."""

from __future__ import annotations

import click

from pipecatapp.cli.verb import Verb, json_option, url_option


@click.command(cls=Verb, example="pipecatapp ask 'What time is it?'")
@click.argument("text", help="The request.")
@click.option("--conversation", default="", metavar="ID", help="Go on with this conversation instead of a new one.")
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for the answer.")
@url_option
def ask(text: str, conversation: str, timeout: float, url: str) -> int:
    """Ask the running agent, print its answer."""
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return Client.of(load_settings(), url).ask(text, conversation, timeout)


@click.command(cls=Verb, example="pipecatapp link")
@click.option("--mcp", is_flag=True, help="What another program needs to use the agent's tools.")
def link(mcp: bool) -> int:
    """Print the links that open Mission Control."""
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    client = Client.of(load_settings())
    return client.program_link() if mcp else client.link()


@click.command(cls=Verb, example="pipecatapp status")
@json_option
def status(as_json: bool) -> int:
    """Say which components work."""
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return Client.of(load_settings()).status(as_json=as_json)
