"""One agent's storage as a program, for what only a process can suffer.

`python -m testing.house_agent` reads one JSON line (``folder``, ``access``, ``times``), then tries to write an event
every 50 ms, and prints what came of it as JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from pipecatapp.errors import StorageError
from pipecatapp.storage.part import Storage
from pipecatapp.storage.replication.lease import LeaseTimes
from pipecatapp.storage.replication.link import Access
from testing.house import audited


async def main() -> None:
    """Write until it is ended."""
    told = json.loads(sys.stdin.readline())
    access = Access(**{**told["access"], **{name: Path(told["access"][name]) for name in ("ca", "certificate", "key")}})
    folder = Path(told["folder"])
    storage = Storage(folder, access=access, name=folder.name, times=LeaseTimes(**told["times"]), empty_waits_s=0)
    await storage.start()
    number = 0
    while True:
        number += 1
        was = storage.state
        try:
            said = {"saved": await storage.journal.append(audited(f"{folder.name} {number}"))}
        except StorageError as error:
            said = {"refused": str(error)}
        print(json.dumps({"n": number, "was": was, "at": time.monotonic(), **said}), flush=True)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
