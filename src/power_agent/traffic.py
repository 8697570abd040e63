"""When a port was last used for work, as the kernel saw it."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from power_agent.bpf import ETH_P_IP, ETH_P_IPV6, Map, packet_socket
from power_agent.errors import MonitorError
from power_agent.loading import Loaded, load

_USAGE = struct.Struct("=9Q")
_PORT = struct.Struct("=H")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a port was used for since it is watched.

    Attributes:
        last_work: seconds on the monotonic clock; 0: never.
    """

    packets: int = 0
    syns: int = 0
    checks: int = 0
    reads: int = 0
    work_packets: int = 0
    work_bytes: int = 0
    answers: int = 0
    last_work: float = 0.0


class Traffic(Protocol):
    """What the policy asks."""

    def watch(self, port: int, *, http: bool) -> None:
        """Measure a port from now on; ``http``: requests that only read are no work."""

    def forget(self, port: int) -> None:
        """Measure it no more."""

    def usage(self, port: int) -> Usage | None:
        """What it was used for; None: not measured, which says nothing about its use."""


class KernelTraffic:
    """``Traffic`` from the eBPF program on two packet sockets.

    Args:
        loaded: the program in the kernel.

    Raises:
        MonitorError: packet sockets cannot be had here.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loader = loaded.loader
        self._ports = Map(loaded.ports, _PORT.size, _USAGE.size)
        self._sockets = []
        try:
            self._sockets += [packet_socket(protocol, loaded.program) for protocol in (ETH_P_IP, ETH_P_IPV6)]
        except OSError as error:
            raise MonitorError(f"packet sockets: {error.strerror}; they need CAP_NET_RAW") from error

    def watch(self, port: int, *, http: bool) -> None:
        """As in ``Traffic``."""
        watch(self._ports, port, http=http)

    def forget(self, port: int) -> None:
        """As in ``Traffic``."""
        self._ports.drop(_PORT.pack(port))

    def usage(self, port: int) -> Usage | None:
        """As in ``Traffic``."""
        return usage(self._ports, port)

    def close(self) -> None:
        """Measure nothing more."""
        for each in self._sockets:
            each.close()


class NoTraffic:
    """``Traffic`` where the kernel cannot be asked: what the servers say must do.

    Args:
        why: for the log and for people.
    """

    loader = "none"

    def __init__(self, why: str) -> None:
        self.why = why

    def watch(self, port: int, *, http: bool) -> None:
        """Nothing to do."""

    def forget(self, port: int) -> None:
        """Nothing to do."""

    def usage(self, port: int) -> Usage | None:
        """Not measured."""
        return None

    def close(self) -> None:
        """Nothing to do."""


def open_traffic(object_file: Path | None = None) -> KernelTraffic | NoTraffic:
    """The best measurement that this machine has."""
    try:
        return KernelTraffic(load(object_file) if object_file else load())
    except MonitorError as error:
        return NoTraffic(str(error))


def watch(ports: Map, port: int, *, http: bool) -> None:
    """Put a port into the map, with nothing counted yet."""
    try:
        ports.put(_PORT.pack(port), _USAGE.pack(*[0] * 8, int(http)))
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise MonitorError("more ports than there are") from error
        raise


def usage(ports: Map, port: int) -> Usage | None:
    """What the map says about a port."""
    raw = ports.get(_PORT.pack(port))
    if raw is None:
        return None
    packets, syns, checks, reads, work_packets, work_bytes, answers, last, _ = _USAGE.unpack(raw)
    return Usage(packets, syns, checks, reads, work_packets, work_bytes, answers, last / 1e9)
