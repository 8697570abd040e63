"""What finds experts in Consul."""

from __future__ import annotations

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Changed, Discovery
from pipecatapp.parts import Part
from pipecatapp.settings import Settings


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
    client = ConsulClient(settings.consul, settings.consul_http_token)
    return ClusterPart(Discovery(client, changed, settings.expert_api_key))
