"""The few calls of bpf(2) that the agent needs, by ctypes: maps, attaching to a socket, a run on one packet."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct

from power_agent.errors import MonitorError

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_LOOKUP, _UPDATE, _DELETE, _TEST_RUN = 1, 2, 3, 10
_ATTRIBUTES = 144  # bytes; what is not set is zero
_SO_ATTACH_BPF = 50
_SK_BUFF = 192  # bytes of struct __sk_buff
_MARK_AT = 8
_libc = ctypes.CDLL(None, use_errno=True)


def _call(command: int, attributes: bytes) -> bytes:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise MonitorError(f"the number of bpf(2) on {platform.machine()} is not known")
    buffer = ctypes.create_string_buffer(attributes, _ATTRIBUTES)
    if _libc.syscall(number, command, buffer, _ATTRIBUTES) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return buffer.raw


class Map:
    """A map in the kernel: bytes to bytes.

    Args:
        descriptor: of the map; the caller's.
        key_size, value_size: in bytes, as the program says.
    """

    def __init__(self, descriptor: int, key_size: int, value_size: int) -> None:
        self._descriptor = descriptor
        self._key = ctypes.create_string_buffer(key_size)
        self._value = ctypes.create_string_buffer(value_size)

    def get(self, key: bytes) -> bytes | None:
        """The value, None where there is none."""
        try:
            self._do(_LOOKUP, key)
        except FileNotFoundError:
            return None
        return self._value.raw

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value."""
        self._value.raw = value
        self._do(_UPDATE, key)

    def drop(self, key: bytes) -> None:
        """Take the key out; one that is not there is no error."""
        try:
            self._do(_DELETE, key, with_value=False)
        except FileNotFoundError:
            return

    def _do(self, command: int, key: bytes, *, with_value: bool = True) -> None:
        self._key.raw = key
        value = ctypes.addressof(self._value) if with_value else 0
        _call(command, struct.pack("=IxxxxQQQ", self._descriptor, ctypes.addressof(self._key), value, 0))


def packet_socket(protocol: int, program: int) -> socket.socket:
    """A packet socket of one protocol on all interfaces that runs the program on each packet.

    Raises:
        OSError: without the right (CAP_NET_RAW), or in a kernel without it.
    """
    # Protocol 0 first: no packet reaches the socket before the program sits on it.
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)
        # Interface 0 stands for all of them; Python's own bind wants the name of one.
        address = struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(protocol), 0, 0, 0, 0)
        if _libc.bind(opened.fileno(), address, len(address)):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    except BaseException:
        opened.close()
        raise
    return opened


def run_on_packet(program: int, packet: bytes, mark: int = 0, repeat: int = 1) -> tuple[int, int]:
    """Run a socket filter on an Ethernet frame, with no interface: what it returned, and nanoseconds per packet."""
    data = ctypes.create_string_buffer(packet, len(packet))
    context = ctypes.create_string_buffer(_SK_BUFF)
    struct.pack_into("=I", context, _MARK_AT, mark)
    attributes = struct.pack(
        "=IIIIQQIIIIQQ", program, 0, len(packet), 0, ctypes.addressof(data), 0, repeat, 0, _SK_BUFF, 0,
        ctypes.addressof(context), 0,
    )  # fmt: skip
    answer = _call(_TEST_RUN, attributes)
    returned: int = struct.unpack_from("=I", answer, 4)[0]
    duration: int = struct.unpack_from("=I", answer, 36)[0]
    return returned, duration
