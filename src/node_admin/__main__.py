"""``python3 -m node_admin CONFIGURATION``: serves the socket that systemd hands over."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from node_admin.admin import NodeAdmin, Settings
from node_admin.decisions import Decisions
from node_admin.files import writable_by_others
from node_admin.inventory import Inventory
from node_admin.server import Server
from node_admin.state import State

_FIRST = 3  # the first descriptor that systemd hands over


def main() -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.umask(0o077)
    if len(sys.argv) != 2 or os.environ.get("LISTEN_FDS") != "1":
        sys.stderr.write("node_admin is started by its socket: systemctl start pipecatapp-node-admin.socket\n")
        return 2
    try:
        settings = Settings.of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        sys.stderr.write(f"{sys.argv[1]} cannot be used ({error}); run playbook.yaml again\n")
        return 2
    if whose := writable_by_others(settings.playbooks):
        sys.stderr.write(f"{whose} can be written by others than root: nothing in it is run; run playbook.yaml again\n")
        return 2
    settings.folder.joinpath("tmp").mkdir(mode=0o700, exist_ok=True)
    server = Server(
        settings,
        Decisions(settings.journal, settings.folder / "tmp", settings.agent),
        State(settings.folder),
        NodeAdmin(settings, Inventory(settings.folder)),
    )
    with socket.socket(fileno=_FIRST) as listening:
        listening.setblocking(False)
        with suppress(asyncio.CancelledError):
            asyncio.run(_until_stopped(server, listening))
    return 0


async def _until_stopped(server: Server, listening: socket.socket) -> None:
    serving = asyncio.ensure_future(server.serve(listening))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    loop.add_signal_handler(signal.SIGHUP, server.leave_when_idle)
    await serving


if __name__ == "__main__":
    sys.exit(main())
