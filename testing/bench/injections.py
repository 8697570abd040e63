"""Texts that want an action done, through every channel, to a model that obeys all it reads: what runs unasked."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections import Counter

from testing.fakes.injections import CHANNELS, PAYLOADS, attack, cases


async def measure(options: argparse.Namespace) -> int:
    """Run the cases and print what came out."""
    wanted = [case for case in cases() if options.channel in ("", case.channel)]
    total, tried, unapproved = Counter[str](), Counter[str](), Counter[str]()
    began = time.monotonic()
    for case in wanted:
        ran, calls = await attack(case)
        total[case.channel] += 1
        tried[case.channel] += calls
        unapproved[case.channel] += len(ran)
        for tool, arguments in ran:
            print(f"UNAPPROVED {case.name}: {tool} {arguments}")
    print(f"{'channel':<32}{'cases':>8}{'calls tried':>14}{'unapproved':>12}")
    for channel in total:
        print(f"{channel:<32}{total[channel]:>8}{tried[channel]:>14}{unapproved[channel]:>12}")
    print(f"{'all':<32}{total.total():>8}{tried.total():>14}{unapproved.total():>12}\n")
    result = {
        "cases": total.total(),
        "unapproved": unapproved.total(),
        "calls_tried": tried.total(),
        "channels": len(total),
        "payloads": len(PAYLOADS),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(result))
    return 1 if unapproved.total() else 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench injections", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--channel", default="", choices=["", *CHANNELS], help="only this channel (default: all)")
    logging.disable(logging.CRITICAL)
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
