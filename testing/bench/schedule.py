"""Random lives of a PC with timers and alarms (kills, power cuts, clocks that jump): what is lost, what rings again."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from testing.fakes.schedule_lives import Verdict, run_lives


async def measure(lives: int, seed: int) -> int:
    """Live half of them on a disk in memory that loses its power at any write, half on a journal on the real disk."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lives-") as folder:
        verdicts = [
            await run_lives(lives - lives // 2, seed=seed),
            await run_lives(lives // 2, seed=seed + 1, folder=lambda life: Path(folder) / str(life)),
        ]
    print(f"{'':<22}{'disk that fails':>16}{'real disk':>12}")
    for name in ("lives", "items", "rings", "missed", "acknowledged", "kills", "power_cuts", "jumps", "lost", "again"):
        print(f"{name:<22}{getattr(verdicts[0], name):>16}{getattr(verdicts[1], name):>12}")
    for detail in [detail for verdict in verdicts for detail in verdict.details][:10]:
        print(detail)
    total = {name: sum(getattr(verdict, name) for verdict in verdicts) for name in _KEYS}
    print(json.dumps({**total, "seconds": round(time.monotonic() - began, 1)}))
    return 1 if total["lost"] or total["again"] else 0


_KEYS = tuple(name for name in Verdict.__dataclass_fields__ if name != "details")


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench schedule", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lives", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    logging.disable(logging.CRITICAL)
    options = parser.parse_args()
    return asyncio.run(measure(options.lives, options.seed))


if __name__ == "__main__":
    sys.exit(main())
