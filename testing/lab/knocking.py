"""Knocking at a node's ports: a listener for any number of them in a node, and who gets in from where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from testing.lab.lab import Lab
from testing.provision.entered import Result

_LISTEN = """
import socket, sys, threading
def serve(port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
    while True:
        server.accept()[0].close()
for port in map(int, sys.argv[1:]):
    threading.Thread(target=serve, args=(port,)).start()
"""
_KNOCK = """
import json, socket, sys, threading
address, source, seen = sys.argv[1], sys.argv[2], {}
def knock(port):
    try:
        here = (source, 0) if source else None
        socket.create_connection((address, port), timeout=3, source_address=here).close()
        seen[port] = "open"
    except OSError as error:
        seen[port] = error.strerror or "no answer"
threads = [threading.Thread(target=knock, args=(int(port),)) for port in sys.argv[3:]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(seen))
"""


def listen(lab: Lab, node: str, ports: Iterable[int]) -> None:
    """Listen at these ports of a node, on all its addresses, until the node goes down."""
    command = ["/usr/bin/python3", "-c", _LISTEN, *map(str, ports)]
    started = lab.run(node, "systemd-run", f"--unit=listen-{min(ports)}", *command)
    assert started.code == 0, started.output


def knock(run: Callable[..., Result], address: str, ports: Sequence[int], source: str = "") -> dict[int, str]:
    """What each port answers: ``open``, or why not.

    Args:
        run: runs a command where the knocking comes from.
        address: whose ports.
        ports: which.
        source: the address to knock from, where there are several.
    """
    knocked = run("/usr/bin/python3", "-c", _KNOCK, address, source, *map(str, ports))
    assert knocked.code == 0, knocked.output
    return {int(port): answer for port, answer in json.loads(knocked.output).items()}
