"""How many connections there may be, and which one ends when there are too many.

A connection is a stranger's until a request on it has shown a token or a cookie (``admit``). Strangers have little
room, one address of theirs has less, and the newest takes the place of the oldest: who knocks without an end keeps
nobody out. Those who were admitted have room of their own.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

Guest = Literal["stranger", "person", "program"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of connections, seconds and bytes; all ports share one table.

    A browser keeps six connections and two sockets for each page. Together they stay well below the 1,024 descriptors
    that a process has by default.
    """

    strangers: int = 128
    strangers_per_network: int = 32
    people: int = 256
    programs: int = 64
    handshake_s: float = 10.0  # of TLS
    header_s: float = 10.0  # from the first byte of a request to the end of its header
    body_s: float = 10.0  # a stranger's body, as a whole
    silence_s: float = 60.0  # in the body of somebody who was admitted
    answer_s: float = 30.0  # until a stranger has taken the answer
    idle_s: float = 20.0  # between two requests
    header_bytes: int = 32 * 1024
    header_lines: int = 100


class Connection:
    """One connection, from before its TLS handshake to its end."""

    __slots__ = ("_close", "_table", "guest", "network", "passage")

    def __init__(self, table: ConnectionTable, network: str, close: Callable[[], None]) -> None:
        self._table = table
        self._close = close
        self.network = network
        self.guest: Guest = "stranger"
        # From where to where it came, where a proxy says so.
        self.passage: tuple[tuple[str, int], tuple[str, int]] | None = None

    def pass_on(self, client: tuple[str, int], server: tuple[str, int]) -> None:
        """A proxy says from where it comes and to which address of its own: it counts as that client's from now on."""
        self.passage = (client, server)
        self._table.move(self, client[0])

    def close_with(self, close: Callable[[], None]) -> None:
        """From now on this ends it."""
        self._close = close

    def close(self) -> None:
        """End it at once."""
        self._close()

    def admit(self, guest: Guest) -> None:
        """A request on it showed a token or a cookie. Where no room is left for such, it stays a stranger's."""
        self._table.admit(self, guest)

    def release(self) -> None:
        """It has ended. A second time does nothing."""
        self._table.release(self)


class ConnectionTable:
    """All connections of the program.

    Args:
        limits: how many.
        proxies: networks of proxies that people come through: their address has the room of all strangers.
    """

    def __init__(self, limits: Limits | None = None, proxies: Iterable[Network] = ()) -> None:
        self.limits = limits or Limits()
        self._proxies = tuple(proxies)
        # Oldest first, in both.
        self._strangers: dict[Connection, None] = {}
        self._networks: dict[str, dict[Connection, None]] = {}
        self._admitted: dict[Guest, set[Connection]] = {"person": set(), "program": set()}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._strangers) + sum(map(len, self._admitted.values()))

    def open(self, address: str, close: Callable[[], None]) -> Connection:
        """Make room for a connection from ``address``, by ending an older one of a stranger if need be."""
        connection = Connection(self, network_of(address), close)
        self._enter(connection, address)
        return connection

    def move(self, connection: Connection, address: str) -> None:
        """Count a stranger's connection as one from ``address``."""
        if connection in self._strangers:
            self.release(connection)
            connection.network = network_of(address)
            self._enter(connection, address)

    def _enter(self, connection: Connection, address: str) -> None:
        network = connection.network
        siblings = self._networks.get(network, {})
        if len(siblings) >= self._most(address):
            log.warning("more than %d connections from one address without a login; the oldest ends", len(siblings))
            self._end(next(iter(siblings)))
        elif len(self._strangers) >= self.limits.strangers:
            log.warning("more than %d connections without a login; the oldest ends", len(self._strangers))
            self.shed()
        self._strangers[connection] = None
        self._networks.setdefault(network, {})[connection] = None

    def shed(self) -> None:
        """End the oldest stranger of the network that has most of them."""
        if self._networks:
            crowded = max(self._networks, key=lambda network: len(self._networks[network]))
            self._end(next(iter(self._networks[crowded])))

    def admit(self, connection: Connection, guest: Guest) -> None:
        """See ``Connection.admit``."""
        room = self.limits.people if guest == "person" else self.limits.programs
        if guest == "stranger" or connection not in self._strangers or len(self._admitted[guest]) >= room:
            return
        self.release(connection)
        connection.guest = guest
        self._admitted[guest].add(connection)

    def release(self, connection: Connection) -> None:
        """See ``Connection.release``."""
        if connection in self._strangers:
            del self._strangers[connection]
            siblings = self._networks[connection.network]
            del siblings[connection]
            if not siblings:
                del self._networks[connection.network]
        for admitted in self._admitted.values():
            admitted.discard(connection)

    def _end(self, connection: Connection) -> None:
        self.release(connection)
        connection.close()

    def _most(self, address: str) -> int:
        return self.limits.strangers if self.is_proxy(address) else self.limits.strangers_per_network

    def is_proxy(self, address: str) -> bool:
        """Whether people come through this address."""
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._proxies)


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 a whole /64, since one machine may take all of them."""
    parsed = parse_address(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.is_link_local or parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def parse_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address of a connection; an IPv4 one in IPv6's form as what it is. None where it is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
