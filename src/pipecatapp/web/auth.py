"""Who may come in: the token, the sessions that browsers trade it for, and how often one may guess.

The token is a file that only the service can read.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.atomic import create_file, make_folder
from pipecatapp.web.connections import network_of
from pipecatapp.web.sessions import Sessions

log = logging.getLogger(__name__)

# A person may have to click through the browser's warning before a ticket arrives.
TICKET_S = 600
_MIN_TOKEN = 20
# Addresses that are remembered for wrong tokens; of IPv6, networks.
_MOST_GUESSERS = 1000


def load_token(state_dir: Path) -> str:
    """The token in ``STATE_DIR/token``, made at the first start.

    Raises:
        ConfigurationError: the file cannot be made or read, or holds no token.
    """
    path = state_dir / "token"
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(32))
        if path.stat().st_mode & 0o077:
            log.warning("%s was readable by others; now it is not", path)
            path.chmod(0o600)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot read the token in {path}: {error}; run as the service's user, or as root"
        ) from error
    if len(token) < _MIN_TOKEN:
        raise ConfigurationError(f"{path} holds no usable token; delete it and start again: a new one is made")
    return token


def _write_once(path: Path, token: str) -> None:
    """Create ``path`` whole or not at all, also when two processes start at once."""
    make_folder(path.parent)
    # `pipecatapp link` run by root before the first start: the token is the service's.
    owner = path.parent.stat() if os.geteuid() == 0 else None
    if not create_file(path, f"{token}\n", owner=owner):
        log.debug("another process made the token")


def program_token(token: str) -> str:
    """What other programs show at ``/mcp``. It opens nothing else: who has it cannot answer for the person."""
    return "mcp_" + hmac.digest(token.encode(), b"pipecatapp programs", "sha256").hex()


class Access:
    """Checks tokens and tickets, and slows down who guesses (never who knows).

    Args:
        token: opens everything.
        sessions_file: keeps which sessions were signed out.
        attempts: wrong tokens of one address that are answered at once, within ``window_s``.
    """

    def __init__(
        self,
        token: str,
        *,
        sessions_file: Path | None = None,
        attempts: int = 10,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token = token.encode()
        self.sessions = Sessions(self._token, sessions_file, clock=clock)
        self._program_token = program_token(token).encode()
        self._attempts = attempts
        self._window_s = window_s
        self._clock = clock
        self._failures: dict[str, list[float]] = {}
        self._tickets: dict[str, float] = {}

    def token_fits(self, presented: str, client: str) -> bool:
        """Whether this is the token. A wrong one counts against ``client`` (its address)."""
        fits = hmac.compare_digest(presented.encode(), self._token)
        client = network_of(client)
        if fits:
            self._failures.pop(client, None)
        else:
            self._remember_failure(client)
        return fits

    def program_token_fits(self, presented: str) -> bool:
        """Whether this is the token of other programs."""
        return hmac.compare_digest(presented.encode(), self._program_token)

    def must_wait(self, client: str) -> int:
        """Seconds until ``client`` may try a token again; 0: now."""
        now = self._clock()
        recent = [at for at in self._failures.get(network_of(client), ()) if now - at < self._window_s]
        if len(recent) < self._attempts:
            return 0
        return max(1, round(self._window_s - (now - recent[0])))

    def new_ticket(self) -> str:
        """Signs in once, soon: it takes a session from the plain page to the secure one."""
        now = self._clock()
        self._tickets = {ticket: until for ticket, until in self._tickets.items() if until > now}
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = now + TICKET_S
        return ticket

    def ticket_fits(self, presented: str) -> bool:
        """Whether this ticket was given out and is still unused. Afterwards it is used."""
        return self._tickets.pop(presented, 0.0) > self._clock()

    async def sign_out_everywhere(self) -> None:
        """End all sessions, and the tickets that would become some."""
        self._tickets.clear()
        await self.sessions.end_all()

    def _remember_failure(self, client: str) -> None:
        now = self._clock()
        # Newest last: the first ones are those whose while is over, or that make room.
        times = [*self._failures.pop(client, ())[-self._attempts + 1 :], now]
        while self._failures:
            oldest = next(iter(self._failures))
            if now - self._failures[oldest][-1] < self._window_s and len(self._failures) < _MOST_GUESSERS:
                break
            del self._failures[oldest]
        self._failures[client] = times
