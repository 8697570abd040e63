"""A client of NATS with Python's own library, run on a node: `nats_probe.py PASSWORD ADDRESS COMMAND...` as root.

As the agent it may use the agent's subjects alone: stream ``X`` is ``journal-X`` there, of ``journal.X.entry``.

Commands: ``create STREAM REPLICAS``, ``publish STREAM COUNT``, ``info STREAM``; prints what the server answers as JSON.
``hello [CERTIFICATE KEY]`` only connects, ``hello-without-certificate [CERTIFICATE]`` tries it without one. An
authority lies beside the certificate.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

CERTIFICATE = ("/etc/nats/tls/nats.pem", "/etc/nats/tls/nats.key")


class Client:
    """One connection, and requests over it."""

    def __init__(self, password: str, address: str, pair: tuple[str, str], *, certificate: bool = True) -> None:
        self._deadline = time.monotonic() + 20
        plain = socket.create_connection((address, 4222), timeout=20)
        while not plain.recv(65536).endswith(b"\r\n"):  # INFO
            pass
        context = ssl.create_default_context(cafile=Path(pair[0]).with_name("ca.pem"))
        context.check_hostname = False  # by address, which changes
        if certificate:
            context.load_cert_chain(*pair)
        self._socket = context.wrap_socket(plain)
        self._file = self._socket.makefile("rb")
        hello = {"verbose": False, "user": "app", "pass": password, "lang": "probe", "version": "1", "headers": True}
        self._send(f"CONNECT {json.dumps(hello)}\r\nPING\r\n".encode())
        if (said := self._line()) != "PONG":
            raise PermissionError(said)
        self._send(b"SUB _INBOX.probe.* 1\r\n")

    def request(self, subject: str, body: Any, limit_s: float = 5) -> Any:
        """The answer to a request.

        Raises:
            TimeoutError: there is none in time; a stream without a leader gives none.
        """
        self._deadline = time.monotonic() + limit_s
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._send(f"PUB {subject} _INBOX.probe.1 {len(data)}\r\n".encode() + data + b"\r\n")
        line = self._line()
        size = int(line.split()[-1])
        answer = self._file.read(size + 2)
        if line.startswith("HMSG"):
            raise ConnectionError(answer.decode().strip())
        return json.loads(answer)

    def _line(self) -> str:
        while time.monotonic() < self._deadline:
            line = self._file.readline().decode().strip()
            if line == "PING":
                self._send(b"PONG\r\n")
            elif not line:
                raise ConnectionError("the server ended the connection")
            else:
                return line
        raise TimeoutError("no answer")

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)


def main() -> None:
    """Do one thing and print the answer."""
    password, address, what, *words = sys.argv[1:]
    told = (words[0], words[-1]) if what.startswith("hello") and words else CERTIFICATE
    client = Client(password, address, told, certificate=what != "hello-without-certificate")
    stream = f"journal-{words[0]}" if words else ""
    if what == "create":
        subjects = [f"journal.{words[0]}.entry"]
        settings = {"name": stream, "subjects": subjects, "num_replicas": int(words[1]), "storage": "file"}
        print(json.dumps(client.request(f"$JS.API.STREAM.CREATE.{stream}", settings)))
    elif what == "publish":
        facts = range(int(words[1]))
        acknowledged = [client.request(f"journal.{words[0]}.entry", f"fact {n}".encode()) for n in facts]
        print(json.dumps(acknowledged[-1]))
    elif what == "info":
        print(json.dumps(client.request(f"$JS.API.STREAM.INFO.{stream}", {})))


if __name__ == "__main__":
    main()
