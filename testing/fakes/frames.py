"""Ethernet frames made by hand, as they arrive at a machine."""

from __future__ import annotations

import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_IPV4, _IPV6 = bytes(12) + b"\x08\x00", bytes(12) + b"\x86\xdd"
_LOOPBACK4, _LOOPBACK6 = bytes((127, 0, 0, 1)), bytes(15) + b"\x01"


def tcp(port: int, flags: int, data: bytes = b"", *, options: bytes = b"", source: int = 40000, ack: int = 1) -> bytes:
    """A segment; options in whole words of four bytes."""
    return (
        struct.pack("!HHIIBBHHH", source, port, 1, ack, (5 + len(options) // 4) << 4, flags, 1000, 0, 0)
        + options
        + data
    )


def v4(
    payload: bytes, *, protocol: int = 6, options: bytes = b"", fragment: int = 0, source: bytes = _LOOPBACK4
) -> bytes:
    """An IPv4 packet; ``fragment``: the field with flags and offset."""
    length = 20 + len(options) + len(payload)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, length, 1, fragment, 64, protocol, 0, source, _LOOPBACK4
    )
    return _IPV4 + header + options + payload


def v6(payload: bytes, *, following: int = 6, extensions: bytes = b"") -> bytes:
    """An IPv6 packet; ``following``: what the first header behind it is."""
    length = len(extensions) + len(payload)
    header = struct.pack("!IHBB16s16s", 6 << 28, length, following, 64, _LOOPBACK6, _LOOPBACK6)
    return _IPV6 + header + extensions + payload


def vlan(frame: bytes) -> bytes:
    """The frame with a tag, as an interface sees it that does not take tags off."""
    return frame[:12] + b"\x81\x00\x00\x07" + frame[12:]
