"""What runs on a node and watches its servers: `watch.py PROGRAM=PLACE=URL...` prints JSON.

Each line has the time, and for each program whether something listens at its server's port, and whether it knows a
leader. A port says it however busy the machine is; a program that is slow to answer counts as one that knows none.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
import urllib.request

PATIENCE_S = 3
EVERY_S = 0.5


def listens(place: str) -> bool:
    """Whether something takes connections there."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def knows_leader(url: str) -> bool:
    """Whether the program says that it has a leader: Consul and Nomad name one, NATS says that it is healthy."""
    # On loopback, and certificates turn meanwhile.
    unchecked = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S, context=unchecked) as answer:
            said = json.loads(answer.read())
    except (OSError, ValueError):
        return False
    return bool(said) and (not isinstance(said, dict) or said.get("status") == "ok")


def main() -> None:
    """Watch until the end."""
    programs = [word.split("=", 2) for word in sys.argv[1:]]
    while True:
        began = time.time()
        seen = {name: [listens(place), knows_leader(url)] for name, place, url in programs}
        print(json.dumps({"at": began, **seen}), flush=True)
        time.sleep(max(0.0, began + EVERY_S - time.time()))


if __name__ == "__main__":
    main()
