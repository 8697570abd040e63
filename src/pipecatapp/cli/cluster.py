"""The verbs ``cluster``: how the house's PCs are, in words that need no knowledge of clusters; its memory as a file."""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.backup import backup, restore
from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import Verbs, json_option

if TYPE_CHECKING:
    from pipecatapp.cluster.overview import Overview


@click.group(cls=Verbs, example="pipecatapp cluster status")
def cluster() -> None:
    """The house's PCs."""


@cluster.command(example="pipecatapp cluster status")
@json_option
def status(as_json: bool) -> int:
    """Say which PCs are there, which one answers, and whether what is said is saved. 1 where it is not."""
    import asyncio

    from pipecatapp.cluster.part import create_watch
    from pipecatapp.settings import load_settings

    overview = asyncio.run(create_watch(load_settings()).look())
    say(json.dumps(overview.as_json(), indent=2) if as_json else "\n".join(describe(overview)))
    return 0 if overview.saves else 1


# On any of its PCs a backup has everything. A restore looks whether the house has a memory that would count instead.
for _verb in (backup, restore):
    _here = copy(_verb)
    _here.example = _verb.example.replace("pipecatapp ", "pipecatapp cluster ", 1)
    cluster.add_command(_here)


def describe(overview: Overview) -> list[str]:
    """One line a PC, what heals, what is not known, and whether what is said is saved."""
    told = overview.as_json()
    if overview.alone:
        return [overview.says]
    width = max(len(pc["name"]) for pc in told["pcs"])
    lines = [f"{pc['name']:<{width}}  {pc['says']}" for pc in told["pcs"]]
    return [*lines, *told["healing"], *told["unknown"], overview.says]
