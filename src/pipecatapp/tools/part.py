"""The tools that the settings allow, and the servers of other tools."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipecatapp.domain import ComponentHealth, ToolSpec
from pipecatapp.errors import ConfigurationError
from pipecatapp.parts import Part
from pipecatapp.paths import ansible_folders, mcp_servers_file, playbooks_folder
from pipecatapp.ports import ConversationStore, FactStore, HealthSource, ToolSource, Vision
from pipecatapp.settings import Settings
from pipecatapp.timekeeping import Schedule
from pipecatapp.tools.list_keeper import KIND as LISTS
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.registry import TOOLS, ToolServices, ToolSet, create_tools
from pipecatapp.tools.undo import TakingBack
from pipecatapp.tools.volume import Loudness
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures

if TYPE_CHECKING:
    from pipecatapp.tools.mcp_servers.servers import McpServers

logger = logging.getLogger(__name__)


class ToolsPart(Part):
    """The tools.

    Args:
        own: those of this program.
        sources: where further tools come from.
        servers: servers of the Model Context Protocol, a source too; None: nobody named one.
    """

    def __init__(
        self,
        own: ToolSet,
        sources: Sequence[ToolSource] = (),
        servers: McpServers | None = None,
    ) -> None:
        self.own = own
        self.sources = list(sources) if servers is None else [*sources, servers]
        self._servers = servers

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The component ``mcp``, where servers were named."""
        return {"mcp": self._servers} if self._servers is not None else {}

    async def start(self) -> None:
        """Connect to the servers."""
        if self._servers is not None:
            self._servers.start()

    async def stop(self) -> None:
        """End the connections."""
        if self._servers is not None:
            await self._servers.stop()


def create(
    settings: Settings,
    *,
    health: Callable[[], Awaitable[Sequence[ComponentHealth]]],
    model: Callable[[], Awaitable[str]],
    vision: Vision,
    conversations: ConversationStore,
    clear: Callable[[str], Awaitable[None]],
    memory: FactStore,
    taking_back: TakingBack,
    lists: ListKeeper,
    loudness: Loudness,
    tools: Callable[[], Sequence[ToolSpec]],
    schedule: Schedule,
    started: float | None = None,
) -> ToolsPart:
    """The tools; the arguments are those of ``ToolServices`` that do not come from the settings.

    Raises:
        ConfigurationError: the file of servers that the settings name cannot be read.
    """
    taking_back.let(LISTS, lists.take_back)
    services = ToolServices(
        health=health,
        model=model,
        vision=vision,
        conversations=conversations,
        clear=clear,
        code_sandbox=settings.code_sandbox,
        code_sandbox_image=settings.code_sandbox_image,
        ssh_dir=settings.ssh,
        playbooks=playbooks_folder(settings),
        ansible=ansible_folders(),
        node_admin=settings.node_admin_socket,
        ansible_home=settings.state_dir / "ansible",
        power_policy_file=settings.power_policy_file or settings.state_dir / "power_policy.json",
        started=time.monotonic() if started is None else started,
        memory=memory,
        taking_back=taking_back,
        lists=lists,
        loudness=loudness,
        tools=tools,
        schedule=schedule,
        browser=WebBrowser(
            Pictures(settings.pictures), settings.browser_executable, settings.browser_allow_hosts.split(",")
        ),
    )
    return ToolsPart(create_tools(services), servers=create_mcp_servers(settings))


def create_mcp_servers(settings: Settings) -> McpServers | None:
    """The servers of the Model Context Protocol that a person named, not started; None where nobody named one.

    Raises:
        ConfigurationError: a file that the settings name cannot be read.
    """
    path = mcp_servers_file(settings)
    if path is None:
        return None
    from pipecatapp.tools.mcp_servers.config import Named, load_servers

    try:
        named = load_servers(path, os.environ, {name.partition(".")[0] for name in TOOLS})
    except ConfigurationError as error:
        if settings.mcp_servers_file is not None:
            raise
        named = Named(off={path.name: str(error)})
    for name, reason in named.off.items():
        logger.warning("MCP server %s is off: %s", name, reason)
    if not named.servers and not named.off:
        return None
    from pipecatapp.tools.mcp_servers.servers import McpServers

    return McpServers(named.servers, off=named.off)
