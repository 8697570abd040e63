"""The socket: who asks, one request at a time, and lines of JSON back.

``{"progress": "..."}`` any number of times, then ``{"ok": true, "text": "..."}`` once. A client that sends a second
line, ``{"cancel": true}``, ends the run; one that goes away does not: what was agreed to goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from node_admin.admin import NodeAdmin, Settings
from node_admin.decisions import Decisions
from node_admin.errors import RefusedError
from node_admin.requests import LONGEST_LINE, Request, parse
from node_admin.state import State

log = logging.getLogger("node_admin")

_ASK_S = 10.0  # a client has its line ready
_CLIENTS = 8
_LEFT_S = 0.2


class Server:
    """Serves one socket.

    Args:
        settings: of the unit.
        decisions: what people said yes to.
        state: what survives a kill.
        admin: carries requests out.
        ask_s: how long a client may take to ask.
    """

    def __init__(
        self, settings: Settings, decisions: Decisions, state: State, admin: NodeAdmin, ask_s: float = _ASK_S
    ) -> None:
        self._settings = settings
        self._decisions = decisions
        self._state = state
        self._admin = admin
        self._ask_s = ask_s
        self._busy = asyncio.Lock()
        self._clients = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._serving: asyncio.Future[None] | None = None

    def leave_when_idle(self) -> None:
        """End once nothing runs: the next request starts a fresh unit, with the settings as they are then."""
        self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        await self._quiet.wait()
        if self._serving is not None:
            self._serving.cancel()

    async def serve(self, listening: socket.socket) -> None:
        """Serve until cancelled."""
        if cut_off := self._state.after_a_kill():
            log.warning("%s", cut_off)
        server = await asyncio.start_unix_server(self._talk, sock=listening, limit=LONGEST_LINE)
        async with server:
            self._serving = asyncio.ensure_future(server.serve_forever())
            await self._serving

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        self._quiet.clear()
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # whoever asked is gone, or the unit is stopped: there is nobody to tell
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._clients -= 1
            if not self._clients:
                self._quiet.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _user_of(writer) != self._settings.agent:
                raise RefusedError("only the agent may ask")
            if self._clients > _CLIENTS:
                raise RefusedError("too many ask at once")
            request = parse(await self._line(reader))
            if self._busy.locked():
                raise RefusedError("another node is being worked on; ask again when that is done")
            async with self._busy:
                text = await self._carry_out(request, reader, writer)
        except RefusedError as refused:
            log.warning("refused or failed: %s", refused)
            _tell(writer, {"ok": False, "text": str(refused)})
        else:
            _tell(writer, {"ok": True, "text": text})
        await writer.drain()
        # Closed with something unread, the connection would take our answer away from the client.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEFT_S):
                await reader.read(LONGEST_LINE)

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._ask_s):
                return await reader.readuntil(b"\n")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise RefusedError(f"a request is one line of at most {LONGEST_LINE} bytes, sent at once") from None

    async def _carry_out(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        agreed = await asyncio.to_thread(self._decisions.agreed, request)
        # Before anything else: whatever happens now, this yes is not taken twice.
        self._state.use(request.approval)
        self._state.begin(request)
        log.info("%s %s begins (approval %s)", request.verb, request.node, request.approval)
        work = asyncio.create_task(self._admin.do(request, agreed, lambda step: _tell(writer, {"progress": step})))
        cancel = asyncio.create_task(_cancelled(reader))
        try:
            await asyncio.wait({work, cancel}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and cancel.result():
                work.cancel()
            text = await work
        except asyncio.CancelledError:
            if not work.done():  # the unit itself is stopped
                work.cancel()
                await asyncio.wait({work})
            self._state.end(request, False, "cancelled")
            if cancel.done() and not cancel.cancelled() and cancel.result():
                raise RefusedError("it was cancelled; asked for again, it goes on where it was") from None
            raise
        except RefusedError as refused:
            self._state.end(request, False, str(refused))
            raise
        except Exception as error:
            log.exception("%s %s broke", request.verb, request.node)
            self._state.end(request, False, "it broke; see the unit's log")
            raise RefusedError("it broke; see the unit's log") from error
        finally:
            cancel.cancel()
            # It reads from the connection until it has ended, and one may read at a time.
            await asyncio.wait({cancel})
        self._state.end(request, True, text)
        log.info("%s %s is done", request.verb, request.node)
        return text


async def _cancelled(reader: asyncio.StreamReader) -> bool:
    """Wait for the client's second line: true where that is the wish to cancel. Whoever goes away wishes nothing."""
    try:
        line = await reader.readuntil(b"\n")
        if json.loads(line) == {"cancel": True}:
            return True
    except (ValueError, RecursionError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # no such wish
    await asyncio.Event().wait()
    return False


def _tell(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    # A client that does not read must not fill our memory.
    if not writer.is_closing() and (writer.transport.get_write_buffer_size() < 256 * 1024 or "ok" in message):
        writer.write(json.dumps(message).encode() + b"\n")


def _user_of(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel knows it."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", peer)[1]
    return user
