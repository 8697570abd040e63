"""A network of its own for one test: loopback, nft, ports; gone with its process. Needs root."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One network namespace.

    Args:
        keeper: the process that keeps it.
    """

    def __init__(self, keeper: subprocess.Popen[bytes]) -> None:
        self._keeper = keeper

    @property
    def pid(self) -> int:
        """The process that keeps it."""
        return self._keeper.pid

    def command(self, *command: str) -> list[str]:
        """The command, run in it."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", *command]

    def run(self, *command: str) -> str:
        """What a command in it says."""
        return subprocess.run(self.command(*command), check=True, capture_output=True, text=True, timeout=30).stdout

    def socket(self, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A socket of this process that lives in it."""
        made: list[socket.socket | OSError] = []

        def make() -> None:
            # A thread of its own: the namespace is one thread's, and this one ends.
            descriptor = os.open(f"/proc/{self._keeper.pid}/ns/net", os.O_RDONLY)
            try:
                if _libc.setns(descriptor, _CLONE_NEWNET):
                    made.append(OSError(ctypes.get_errno(), "setns"))
                else:
                    made.append(socket.socket(family, socket.SOCK_STREAM))
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    async def connect(self, port: int, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a server in it."""
        opened = self.socket()
        try:
            opened.setblocking(False)
            await asyncio.get_running_loop().sock_connect(opened, (host, port))
        except BaseException:
            opened.close()
            raise
        return await asyncio.open_connection(sock=opened)

    def listen(self, port: int, host: str = "127.0.0.1") -> socket.socket:
        """A socket that listens in it."""
        opened = self.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
        opened.setblocking(False)
        return opened


@contextmanager
def network_namespace(needs: Sequence[Sequence[str]] = ()) -> Iterator[Namespace]:
    """A namespace with loopback. Skips the test where there can be none, or where a needed command fails in it."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    keeper = subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"up\n":
            pytest.skip("no network namespaces here")
        namespace = Namespace(keeper)
        for command in needs:
            if subprocess.run(namespace.command(*command), capture_output=True, check=False).returncode != 0:
                pytest.skip(f"`{' '.join(command)}` does not work here")
        yield namespace
    finally:
        keeper.kill()
        keeper.communicate()
