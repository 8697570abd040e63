"""Runs the program until somebody ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from pipecatapp.app import App, Node
from pipecatapp.cli.terminal import PrintableFormatter, say
from pipecatapp.settings import Settings

logger = logging.getLogger(__name__)

# Ending takes no longer than this; who has not ended by then is left to the operating system.
SHUTDOWN_S = 5.0


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    log_to_stderr(settings.log_level)
    # Whatever a server sends that is no message, with what stands in it; tools.mcp_servers says what matters.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)
    asyncio.run(_serve(settings))
    return 0


def log_to_stderr(level: str) -> None:
    """Log what a service has to say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # They log every request, and when debugging what people said.
    for noisy in ("httpx", "httpcore", "httpx2", "httpcore2", "websockets", "mcp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = Node(settings)
    app = App(node)
    await app.start()
    say(welcome(node.web.servers.open_links(), to_person=sys.stdout.isatty()))
    await stop.wait()
    logger.info("ending")
    # A model that is still being loaded in a thread cannot be stopped otherwise.
    last_resort = threading.Timer(SHUTDOWN_S, os._exit, args=(0,))
    last_resort.daemon = True
    last_resort.start()
    await app.stop()


def welcome(links: Sequence[str], *, to_person: bool) -> str:
    """What to open. The links that log in are for a person alone: a service's output ends up in a log."""
    if to_person:
        return "Open " + "\n  or ".join(links)
    return "Open " + "\n  or ".join(link.partition("?")[0] for link in links) + "\nto log in: pipecatapp link"
