"""The two WebSockets: events to the page, and voice both ways."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from pipecatapp.hub import Subscription
from pipecatapp.storage.conversations import valid_id
from pipecatapp.web.services import WebServices

log = logging.getLogger(__name__)

# Close codes of our own (4000 to 4999); the page reads them.
BAD_CONVERSATION = 4400
GOING_AWAY = 1001
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,18}")


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.websocket("/ws")
    async def send_events(socket: WebSocket, conversation: str = "", after: str = "0", boot: str = "") -> None:
        await socket.accept()
        if not valid_id(conversation):
            await socket.close(BAD_CONVERSATION, "not a conversation id")
            return
        seen = int(after) if _NUMBER.fullmatch(after) else 0
        with services.hub.subscribe(conversation, seen, boot) as page:
            gone = asyncio.create_task(_wait_until_gone(socket))
            try:
                sender = asyncio.create_task(_send_all(socket, page))
                await asyncio.wait([gone, sender], return_when=asyncio.FIRST_COMPLETED)
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await sender
            finally:
                gone.cancel()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the browser closed it first
            await socket.close(GOING_AWAY)

    @router.websocket("/ws/voice")
    async def talk(socket: WebSocket, conversation: str = "", zone: str = "") -> None:
        await socket.accept()
        if not valid_id(conversation):
            await socket.close(BAD_CONVERSATION, "not a conversation id")
            return
        if _ZONE.fullmatch(zone):
            services.set_zone(conversation, zone)
        services.metrics.count_voice_session(1)
        try:
            await services.voice.serve(socket, conversation)
        except WebSocketDisconnect:
            log.debug("a voice session ended with its socket")
        finally:
            services.metrics.count_voice_session(-1)

    return router


async def _wait_until_gone(socket: WebSocket) -> None:
    """Pages say nothing here; reading notices when they go."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_all(socket: WebSocket, page: Subscription) -> None:
    async for message in page:
        await socket.send_text(message)
