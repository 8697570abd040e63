"""Mission Control and the APIs, made from the settings."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipecatapp import __version__
from pipecatapp.events import OwnChanged
from pipecatapp.hub import EventHub
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.states import States
from pipecatapp.parts import Part
from pipecatapp.power_control import PowerControl
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.settings import Settings
from pipecatapp.storage.atomic import replace_file
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.part import Storage
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.undo import TakingBack
from pipecatapp.twin.agent import Agent
from pipecatapp.web.auth import Access, load_token
from pipecatapp.web.cors import parse_cors
from pipecatapp.web.health import HealthBoard
from pipecatapp.web.hosts import allowed_names, parse_allowed, parse_proxies
from pipecatapp.web.logs import EventLogHandler
from pipecatapp.web.metrics import Metrics
from pipecatapp.web.server import create_app
from pipecatapp.web.services import CameraPanel, ExpertTable, HouseWatch, Runner, SpeedTable, VoiceEndpoint, WebServices
from pipecatapp.web.serving import Servers
from pipecatapp.web.tls import LocalAuthority

_SHOWN = ("lists", "changes")  # topics of the journal


class LogPart(Part):
    """The program's log on the page."""

    def __init__(self, hub: EventHub) -> None:
        self._handler = EventLogHandler(hub)

    async def start(self) -> None:
        """Begin to pass lines on."""
        logging.getLogger().addHandler(self._handler)

    async def stop(self) -> None:
        """End it."""
        logging.getLogger().removeHandler(self._handler)


class WebPart(Part):
    """The servers.

    Args:
        servers: serve the page and the APIs.
        hub: where the open pages listen.
    """

    def __init__(self, servers: Servers, hub: EventHub) -> None:
        self.servers = servers
        self._hub = hub

    async def start(self) -> None:
        """Open the page.

        Raises:
            ConfigurationError: a port is taken, or a certificate cannot be made.
        """
        await self.servers.start()

    async def stop(self) -> None:
        """Close the pages and the servers."""
        self._hub.close()
        await self.servers.stop()


class ServingPart(Part):
    """The file that tells other processes of this PC where the agent listens: there as long as it serves.

    Args:
        servers: know their ports.
        file: the file.
        host: the address that they listen on.
    """

    def __init__(self, servers: Servers, file: Path, host: str) -> None:
        self._servers = servers
        self._file = file
        self._host = host

    async def start(self) -> None:
        """Write it."""
        serving = {
            "pid": os.getpid(),
            "host": self._host,
            "port": self._servers.port,
            "tls_port": self._servers.tls_port,
        }
        await asyncio.to_thread(replace_file, self._file, json.dumps(serving), 0o644)

    async def stop(self) -> None:
        """Remove it."""
        self._file.unlink(missing_ok=True)


def create(
    settings: Settings,
    *,
    hub: EventHub,
    storage: Storage,
    agent: Agent,
    runner: Runner,
    voice: VoiceEndpoint,
    memory: FaissMemory,
    states: States,
    lists: ListKeeper,
    schedule: ScheduleService,
    taking_back: TakingBack,
    camera: CameraPanel,
    experts: ExpertTable | None,
    house: HouseWatch,
    speeds: SpeedTable,
    board: HealthBoard,
) -> WebPart:
    """The page and the APIs over the rest of the program.

    Raises:
        ConfigurationError: the token cannot be read, or a setting names no host or no proxy.
    """
    token = load_token(settings.state_dir)
    authority = LocalAuthority(settings.state_dir / "tls") if settings.web_tls_port else None
    allowed = parse_allowed(settings.allowed_hosts)
    proxies = parse_proxies(settings.trusted_proxies)
    services = WebServices(
        access=Access(token, sessions_file=settings.state_dir / "sessions.json"),
        hub=hub,
        event_log=storage.events,
        runner=runner,
        voice=voice,
        completions=agent,
        memory=memory,
        states=states,
        lists=lists,
        schedule=schedule,
        taking_back=taking_back,
        experts=experts,
        power=PowerControl(settings.power_socket),
        speeds=speeds,
        choose=agent.choose,
        chosen=agent.chosen,
        copy_journal=storage.copy_journal,
        role=lambda: storage.state,
        proxies=proxies,
        set_zone=agent.set_zone,
        approvals=agent,
        external_calls=agent.external_calls,
        audit=storage.audit,
        health=board,
        metrics=Metrics(version=__version__, pages=hub.pages),
        tools=lambda: agent.tools,
        camera=camera,
        house=house,
        tools_off=lambda: agent.off,
        tools_offered=lambda: agent.always_offered,
        pictures=settings.pictures,
        tls_port=settings.web_tls_port,
        ca_certificate=authority.files.ca_certificate if authority else None,
        allowed_hosts=allowed,
        cors_origins=parse_cors(settings.web_cors_origins),
        version=__version__,
    )
    tell_changes(storage.journal, hub)
    servers = Servers(
        create_app(services),
        settings.web_host,
        settings.web_proxied_port or settings.web_port,
        settings.web_proxied_tls_port or settings.web_tls_port,
        token=token,
        authority=authority,
        extra_names=allowed_names(allowed),
        proxies=proxies,
        shown=(settings.web_port, settings.web_tls_port) if settings.web_proxied_port else None,
    )
    return WebPart(servers, hub)


def tell_changes(journal: SqliteJournal, hub: EventHub) -> None:
    """From now on the pages hear when what they show of the agent's own has changed."""
    for topic in _SHOWN:

        def tell(_: Mapping[str, Any], what: str = topic) -> None:
            hub.emit(OwnChanged(what=what))

        journal.follow(topic, tell)


def create_serving(settings: Settings, servers: Servers) -> ServingPart:
    """What tells other processes where ``servers`` listen."""
    return ServingPart(servers, settings.serving_file, settings.web_host)
