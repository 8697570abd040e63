"""JSON that clients send: no deeper than anybody needs, and with numbers that are numbers.

Deep nesting is cheap to send and breaks whoever walks through it, one call within the other.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

MAX_DEPTH = 64
# A string, whole or cut off, or a bracket. Possessive: no text makes it go back.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.?)*+"?|[\[\]{}]', re.DOTALL)
# What takes longer to look through is looked through beside the loop.
_LONG = 64 * 1024


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects stand more than ``limit`` deep in each other; in time proportional to the body."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > limit:
                    return True
            case b"]" | b"}":
                depth -= 1
    return False


class JsonRequest(Request):
    """A request whose JSON is bounded."""

    async def json(self) -> Any:
        """The body. Raises HTTPException with a sentence where it goes too far, ValueError where it is no JSON."""
        if not hasattr(self, "_json"):
            body = await self.body()
            deep = await asyncio.to_thread(is_too_deep, body) if len(body) > _LONG else is_too_deep(body)
            if deep:
                raise HTTPException(400, f"the body is nested more than {MAX_DEPTH} deep")
            self._json = json.loads(body, parse_constant=_refuse_constant, parse_float=_read_float)
        return self._json


class JsonRoute(APIRoute):
    """A route that reads its body so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a ``JsonRequest``."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_bounded


def json_router(prefix: str = "") -> APIRouter:
    """A router of such routes."""
    return APIRouter(prefix=prefix, route_class=JsonRoute)


def _read_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text[:40])


def _refuse_constant(name: str) -> float:
    raise HTTPException(400, f"{name} is no number")
