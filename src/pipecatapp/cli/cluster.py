"""The verbs ``cluster``: how the house's PCs are, in words that need no knowledge of clusters."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import Verbs, json_option

if TYPE_CHECKING:
    from pipecatapp.cluster.house import House, Pc

_ALONE = "This PC stands alone: its memory is on its own disk (see docs/operations/survive.md)."


@click.group(cls=Verbs, example="pipecatapp cluster status")
def cluster() -> None:
    """The house's PCs."""


@cluster.command(example="pipecatapp cluster status")
@json_option
def status(as_json: bool) -> int:
    """Say which PCs are there, which one answers, and whether what is said is saved. 1 where it is not."""
    import asyncio

    from pipecatapp.cluster.house import look
    from pipecatapp.settings import load_settings

    settings = load_settings()
    addresses = _listed(settings.house_proxies)
    if not (addresses and settings.journal_servers):
        say(json.dumps({"alone": True, "pcs": []}) if as_json else _ALONE)
        return 0
    port = settings.web_proxied_port or settings.web_port
    house = asyncio.run(look(_listed(settings.house_names), addresses, port, settings.journal_servers))
    if as_json:
        told = {"alone": False, "active": house.active, "saves": house.saves, "may_lose_one": house.may_lose_one}
        say(json.dumps(told | {"pcs": [asdict(pc) for pc in house.pcs]}, indent=2))
    else:
        say("\n".join(describe(house)))
    return 0 if house.saves else 1


def describe(house: House) -> list[str]:
    """One line a PC, and one for the house."""
    width = max(len(pc.name) for pc in house.pcs)
    there, servers = house.servers
    lines = [f"{pc.name:<{width}}  {_of(pc, house)}" for pc in house.pcs]
    if not house.active:
        why = (
            f"only {there} of {servers} PCs that keep the memory can be reached from here; start the others"
            if 2 * there <= servers
            else "no agent answers yet; one takes over within seconds, else: sudo nomad job status pipecat-app"
        )
        return [*lines, f"What is said now is not saved: {why}."]
    if house.may_lose_one:
        return [*lines, "What is said is saved. The house goes on when any one of these PCs dies."]
    return [*lines, "What is said is saved. Another PC must not be lost now: start the one that is away."]


def _of(pc: Pc, house: House) -> str:
    keeper = {True: "keeps the memory", False: "its part of the memory cannot be reached", None: ""}[pc.keeps]
    agent = {
        "active": "answers",
        "standby": f"stands by, and goes on when {house.active} is gone" if house.active else "stands by",
        "cut_off": "is cut off from the others: it talks, and cannot save",
        "alone": "answers for itself alone; its settings are older than the house's: run the playbook",
        "none": "",
    }[pc.role]
    return "; ".join(filter(None, (agent, keeper))) if pc.there else "is away"


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
