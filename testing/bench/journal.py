"""A journal on three servers that are killed (-9) while agents write: what is lost or doubled, how long it takes.

Real servers of NATS on loopback, with the configuration that role `nats` writes; one, two or all of them are killed at
random moments and started again. Nothing is killed before the first figures: how long a write takes while all is well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from testing.house import UNHURRIED, active, agent, audited
from testing.house_writing import write_and_kill
from testing.nats import nats_house


async def measure(faults: int, writes: int, seed: int) -> dict[str, float]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="journal-bench-") as name:
        folder = Path(name)
        async with (
            nats_house(folder / "nats") as house,
            agent(house, folder / "well", UNHURRIED, empty_waits_s=0) as storage,
        ):
            await active(storage)
            took = []
            for number in range(writes):
                began = time.perf_counter()
                await storage.journal.append(audited(number))
                took.append((time.perf_counter() - began) * 1e3)
        async with nats_house(folder / "nats-2") as house:
            outcome = await write_and_kill(house, folder, faults=faults, random=random.Random(seed))
    percentiles = statistics.quantiles(took, n=20)
    return {
        "faults": faults,
        "acknowledged": outcome.acknowledged,
        "unsure": outcome.unsure,
        "lost": outcome.lost,
        "doubled": outcome.doubled,
        "different": outcome.different,
        "gap_p50_s": round(statistics.median(outcome.gap_s), 2),
        "gap_max_s": round(max(outcome.gap_s), 2),
        "write_p50_ms": round(percentiles[9], 2),
        "write_p95_ms": round(percentiles[18], 2),
    }


def main() -> int:
    """Print a table, then one line of JSON; fails where something that was acknowledged is lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--faults", type=int, default=20, help="how often servers are killed (default: 20)")
    parser.add_argument("--writes", type=int, default=300, help="writes while all is well (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments (default: 1)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures = asyncio.run(measure(options.faults, options.writes, options.seed))
    for name, value in figures.items():
        print(f"{name:>14}  {value}")
    print(json.dumps(figures))
    return 1 if figures["lost"] or figures["doubled"] or figures["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
