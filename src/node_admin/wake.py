"""Wake-on-LAN: the packet that a sleeping PC's card waits for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

_PORT = 9


def magic_packet(mac: str) -> bytes:
    """Six bytes of ones, then the card's address sixteen times."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def send(mac: str, networks: Sequence[ipaddress.IPv4Network], port: int = _PORT) -> None:
    """Send it to everybody in each network.

    Raises:
        OSError: it could not be sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for network in networks:
            for _ in range(3):  # nothing acknowledges it
                sender.sendto(magic_packet(mac), (str(network.broadcast_address), port))
