"""Whether the servers of a house have a log, asked without being one of its agents."""

from __future__ import annotations

from pipecatapp.storage.replication.link import Access, Link
from pipecatapp.storage.replication.stream import LogStream


def has_log(access: Access) -> bool:
    """Whether there is one: then it is the house's memory, whatever lies on the disk of this PC. Blocks.

    Raises:
        LinkError: nobody answers, or fewer than half of the servers are there.
        RefusedError: they will not say.
    """
    link = Link(access)

    async def ask() -> bool:
        await link.connect()
        try:
            return bool((await LogStream(link).head())[0])
        finally:
            await link.close()

    try:
        return link.wait(ask())
    finally:
        link.end()
