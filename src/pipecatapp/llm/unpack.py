"""Unpacks one pinned package of Debian's, on a machine that has no more of this program than these few files.

``python3 -m pipecatapp.llm.unpack FOLDER PROGRAM``: FOLDER gets ``debian-VERSION``; PROGRAM is the file in it that must
run. The pin comes as JSON on standard input: ``name``, ``version``, ``pool``, ``sha256``, ``sha1``, ``snapshot`` and
``sources``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.llm.debian import unpack
from pipecatapp.llm.doors import run
from pipecatapp.llm.engines import DebianPackage, DebianPin


def main() -> int:
    """Unpack it, saying the steps."""
    folder, program = Path(sys.argv[1]), sys.argv[2]
    wanted = json.load(sys.stdin)
    package = DebianPackage(wanted["name"], wanted["pool"], wanted["sha256"], wanted["sha1"])
    pin = DebianPin(wanted["version"], "amd64", (package,), wanted["snapshot"])
    try:
        tree = unpack(
            folder,
            pin,
            lambda doing, _: print(doing, flush=True),
            lambda tree: run([str(tree / program), "--version"], "trying it"),
            wanted["sources"],
        )
    except (EngineError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(tree)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
