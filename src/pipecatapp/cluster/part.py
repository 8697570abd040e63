"""What finds experts in Consul."""

from __future__ import annotations

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Changed, Discovery
from pipecatapp.errors import ConfigurationError
from pipecatapp.parts import Part
from pipecatapp.settings import Settings, load_settings


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
    return ClusterPart(Discovery(client, changed, settings.expert_api_key))


def _token_now() -> str:
    try:
        return load_settings().consul_http_token
    except ConfigurationError:  # a person is writing the file
        return ""
