"""Sessions of browsers: a signed cookie that carries its own end, and the few that ended before it.

The cookie outlives a restart without being stored. What is stored (``STATE_DIR/sessions.json``) is which of them were
signed out, and how often all were: that number is part of the key that signs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipecatapp.storage.atomic import replace_file

log = logging.getLogger(__name__)

SESSION_S = 180 * 24 * 3600


class Sessions:
    """Makes sessions, checks them, ends them.

    Args:
        token: what the signing key is made of: with another token no session fits.
        file: keeps what was ended; None forgets it with the program.
    """

    def __init__(self, token: bytes, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._token = token
        self._file = file
        self._clock = clock
        self._generation = 0
        # The one part of a cookie that names it, and when it ends anyway.
        self._ended: dict[str, int] = {}
        self._watched: dict[object, tuple[str, Callable[[], None]]] = {}
        self._writing = asyncio.Lock()
        self._load()

    def new(self) -> str:
        """A cookie value that is good for half a year."""
        body = f"{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(9)}"
        return f"{body}.{self._sign(body)}"

    def fits(self, cookie: str) -> bool:
        """Whether this cookie value was made here, with today's token, and has not ended."""
        return self._read(cookie) is not None

    async def end(self, cookie: str) -> None:
        """Sign this session out; one that does not fit is left alone. Sockets that it opened close."""
        if (session := self._read(cookie)) is None:
            return
        name, expires = session
        now = self._clock()
        self._ended = {one: until for one, until in self._ended.items() if until > now} | {name: expires}
        await self._changed()

    async def end_all(self) -> None:
        """Sign out everywhere."""
        self._generation += 1
        self._ended.clear()
        await self._changed()

    @contextlib.contextmanager
    def watch(self, cookie: str, close: Callable[[], None]) -> Iterator[None]:
        """Call ``close`` when this session ends meanwhile."""
        key = object()
        self._watched[key] = (cookie, close)
        try:
            yield
        finally:
            self._watched.pop(key, None)

    def _read(self, cookie: str) -> tuple[str, int] | None:
        """The name and end of a session that fits."""
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        expires, _, name = body.partition(".")
        if int(expires) <= self._clock() or name in self._ended:
            return None
        return name, int(expires)

    def _sign(self, body: str) -> str:
        # The first generation has the key that sessions had before there were generations.
        generation = f" {self._generation}" if self._generation else ""
        key = hmac.digest(self._token, f"pipecatapp session key{generation}".encode(), "sha256")
        return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            kept = json.loads(self._file.read_text(encoding="ascii"))
            self._generation = int(kept["generation"])
            self._ended = {str(name): int(until) for name, until in kept["ended"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # Who was signed out must not come back: everybody signs in once more.
            log.error("%s cannot be read (%s): all browsers are signed out", self._file, error)
            self._generation = 1 + secrets.randbelow(1 << 40)

    async def _changed(self) -> None:
        for cookie, close in [*self._watched.values()]:
            if not self.fits(cookie):
                close()
        if self._file is None:
            return
        async with self._writing:
            content = json.dumps({"generation": self._generation, "ended": self._ended})
            try:
                await asyncio.to_thread(replace_file, self._file, content, 0o600)
            except OSError as error:
                log.error("%s cannot be written: a restart forgets who signed out: %s", self._file, error)
