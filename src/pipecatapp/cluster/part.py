"""What finds experts in Consul, and what says how the house is."""

from __future__ import annotations

import logging
import shutil
import socket
from functools import partial
from pathlib import Path

from pipecatapp.cluster.consul import ConsulClient, consul_url
from pipecatapp.cluster.discovery import Changed, Discovery
from pipecatapp.cluster.house import look
from pipecatapp.cluster.overview import Watch
from pipecatapp.cluster.roster import Member, Room, RosterReader
from pipecatapp.errors import ConfigurationError
from pipecatapp.machine import detect, free_mb
from pipecatapp.parts import Part
from pipecatapp.paths import expert_keys_folder
from pipecatapp.registration import valid_name
from pipecatapp.settings import Settings, load_settings

logger = logging.getLogger(__name__)


class ExpertKeys:
    """The keys of experts: a file for each, and one key for all that have none.

    Args:
        folder: with ``<expert>.key``.
        shared: what those without a file want; empty: nothing.
    """

    def __init__(self, folder: Path, shared: str = "") -> None:
        self._folder = folder
        self._shared = shared
        self._told: set[str] = set()

    def __call__(self, expert: str) -> str:
        """The key of an expert, read anew: it is written before the expert starts, while we run."""
        if not valid_name(expert):
            return self._shared
        try:
            key = (self._folder / f"{expert}.key").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self._shared
        except (OSError, UnicodeDecodeError) as error:
            if expert not in self._told:
                logger.warning("the key of the expert %s cannot be read: %s", expert, error)
                self._told.add(expert)
            return self._shared
        self._told.discard(expert)
        return key or self._shared


class ClusterPart(Part):
    """The watch on Consul."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery

    async def start(self) -> None:
        """Begin to watch."""
        self._discovery.start()

    async def stop(self) -> None:
        """End it."""
        await self._discovery.aclose()


def create(settings: Settings, changed: Changed) -> ClusterPart | None:
    """The watch; ``changed`` is told of the experts. None where the settings name no Consul.

    Raises:
        ConfigurationError: the address is wrong.
    """
    if not settings.consul:
        return None
    client = ConsulClient(settings.consul, settings.consul_http_token, renewed=_token_now)
    return ClusterPart(Discovery(client, changed, ExpertKeys(expert_keys_folder(settings), settings.expert_api_key)))


def create_watch(settings: Settings) -> Watch:
    """What says how the house is: this PC alone, a cluster, or one whose PCs keep one memory.

    Raises:
        ConfigurationError: Consul's address is wrong.
    """
    addresses, names = _listed(settings.house_proxies), _listed(settings.house_names)
    port = settings.web_proxied_port or settings.web_port
    house = None
    if addresses and settings.journal_servers:
        house = partial(look, names, addresses, port, settings.journal_servers)
    roster = None
    if settings.consul_http_addr:
        roster = RosterReader(
            consul_url(settings.consul_http_addr),
            settings.nomad_addr,
            consul_token=settings.consul_http_token,
            nomad_token=settings.nomad_token,
            nomad_ca=str(settings.nomad_cacert) if settings.nomad_cacert else None,
        )
    return Watch(partial(own_pc, settings.state_dir), house, roster)


def own_pc(folder: Path) -> Member:
    """This PC, with the disk that ``folder`` is on."""
    name = socket.gethostname().partition(".")[0]
    total, _, free = shutil.disk_usage(next(at for at in (folder, *folder.parents) if at.exists()))
    ram = detect().ram_mb
    return Member(name, "", True, Room((ram - free_mb()) << 20, ram << 20), Room(total - free, total))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _token_now() -> str:
    try:
        return load_settings().consul_http_token
    except ConfigurationError:  # a person is writing the file
        return ""
