"""What all verbs of the command line share: help that ends with an example, exit codes, who runs them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pipecatapp.errors import ConfigurationError

OK, FAILED, USAGE, SKIPPED = 0, 1, 2, 3
INTERRUPTED = 130

F = TypeVar("F", bound=Callable[..., Any])


class Verb(click.Command):
    """One verb. Its function returns the exit code, or None: done.

    Args:
        example: a command line that a person can copy.
        keeps_root: run as root where root asks for it; the others become the user that the agent runs as.
    """

    def __init__(self, *args: Any, example: str, keeps_root: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.example = example
        self._keeps_root = keeps_root

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, in one line however long it is: it is there to be copied."""
        _write_example(self.example, formatter)

    def invoke(self, ctx: click.Context) -> int:
        """Run it; returns the exit code."""
        self._settle()
        code = super().invoke(ctx)
        return OK if code is None else int(code)

    def _settle(self) -> None:
        """What holds for every verb: whose rights it has, and how it gets out of the house."""
        from pipecatapp import proxies
        from pipecatapp.cli.privileges import become_owner
        from pipecatapp.settings import load_settings

        # What mends an installation works with any settings.
        with contextlib.suppress(ConfigurationError) if self._keeps_root else contextlib.nullcontext():
            settings = load_settings()
            proxies.settle(settings.http_proxy, settings.https_proxy, settings.no_proxy)
            proxies.settle_index(settings.pip_index_url, settings.pip_trusted_host, settings.pip_cert)
            if not self._keeps_root and os.geteuid() == 0:
                become_owner(settings.state_dir)


class Verbs(click.Group):
    """A verb that has verbs of its own.

    Args:
        example: a command line that a person can copy.
    """

    command_class = Verb

    def __init__(self, *args: Any, example: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        _write_example(self.example, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added: the everyday ones first."""
        return list(self.commands)


def _write_example(example: str, formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    formatter.write(f"Example: {example}\n")


def url_option(function: F) -> F:
    """``--url``: which agent."""
    text = "Another node's Mission Control instead of the one on this PC."
    return click.option("--url", default="", metavar="URL", help=text)(function)


def json_option(function: F) -> F:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="As JSON.")(function)
