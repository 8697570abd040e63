"""On which machine of the cluster the agent runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError

# As the job `pipecat-app` registers it.
SERVICE = "pipecat-app"
# A person waits for the answer.
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """A machine with a running agent."""

    node: str
    address: str


async def agent_place(consul: ConsulClient) -> Place | None:
    """Where the agent runs; None where nobody knows, or it does not."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            found = await consul.instances(SERVICE).next()
    except (ConsulUnreachableError, TimeoutError):
        return None
    finally:
        await consul.aclose()
    match found:
        case [{"Node": {"Node": str(node), "Address": str(address)}}, *_]:
            return Place(node, address)
    return None
