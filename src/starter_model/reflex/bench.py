"""The reflex's figures: right tool and arguments, what is acted on, tools where none was wanted."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipecatapp.reflex.judges import FILE, Judges
from pipecatapp.reflex.reflex import THRESHOLD
from pipecatapp.tools.choice.vectors import word_vectors
from starter_model.reflex.recipe import ROOT
from starter_model.reflex.scoring import ROUTE, Answer, answers, curve, figures, read_cases

DATA = ROOT / "testing" / "data"
FILES = ("reflex_requests.jsonl", "reflex_no_tool.jsonl", "starter_handwritten.jsonl")


def print_tools(found: Sequence[Answer]) -> None:
    """One line for each tool."""
    by_tool: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in found:
        by_tool[answer.case.tool or answer.case.kind or "none"].append(answer)
    for tool, listed in sorted(by_tool.items()):
        named = sum(a.judgement.label == tool for a in listed)
        print(f"  {tool:<32}{len(listed):>5} asked{named:>5} named{sum(a.right for a in listed):>5} exact")


def print_curve(found: Sequence[Answer]) -> None:
    """Coverage against error."""
    print(f"\n  {'threshold':>9}{'decided':>10}{'wrong':>10}{'false':>10}")
    for threshold, decided, wrong, false in curve(found):
        print(f"  {threshold:>9.3f}{100 * decided:>9.1f}%{100 * wrong:>9.1f}%{100 * false:>9.2f}%")


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench starter", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, action="append", help='JSON Lines of {"text", "tool", "args", "mind"}')
    parser.add_argument("--model", type=Path, default=FILE, help="the trained file")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="how sure a decision has to be")
    parser.add_argument("--failures", action="store_true", help="print what went wrong")
    options = parser.parse_args()
    judges = Judges.load(word_vectors().of, options.model)
    result: dict[str, float | int] = {}
    found: list[Answer] = []
    for path in options.data or [file for name in FILES if (file := DATA / name).is_file()]:
        some = answers(judges, read_cases(path))
        found += some
        print(f"\n{path.name}")
        print_tools(some)
        print(f"  {json.dumps(figures(some, options.threshold))}")
    print_curve(found)
    result |= figures(found, options.threshold)
    if not options.data:
        handwritten = answers(judges, read_cases(DATA / FILES[-1]))
        hits = [a.right if a.case.tool not in (None, ROUTE) else a.acts < options.threshold for a in handwritten]
        result["handwritten_exact"] = round(sum(hits) / len(hits), 4)
    result["size_mb"] = round(options.model.stat().st_size / 1e6, 2)
    if options.failures:
        print("\nnot as wanted:")
        for answer in found:
            case, judgement = answer.case, answer.judgement
            if not answer.right and (case.tool is not None or answer.acts >= options.threshold):
                print(f"  {case.text!r}\n    wanted {case.tool} {dict(case.arguments)}")
                print(f"    got    {judgement.label} {dict(judgement.arguments)} {judgement.confidence:.3f}")
    print()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
