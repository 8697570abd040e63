"""Ports of loopback for what tests and benchmarks start."""

from __future__ import annotations

import random
import socket
from pathlib import Path

# Above those of known services, below those that the kernel gives to whoever asks for any: until the one for whom it
# was found has begun to listen, no connection of another test can take it.
_FIRST = 15_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this address that nobody listens on now; never the same twice."""
    end = int(_EPHEMERAL.read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(_FIRST, end) if end > _FIRST else 0
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port
