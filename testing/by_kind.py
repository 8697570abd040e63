"""What a run of tests came to, by kind; the runs of one `scripts/test` are told together at the end of its last."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

# The quick ones first: a mistake shows early.
KINDS = ("unit", "docs", "integration", "browser", "bench", "oldcpu", "provision", "lab")
OUTCOMES = ("passed", "failed", "error", "skipped")


@dataclass
class Tally:
    """Outcomes and seconds of one kind, and which of its tests went wrong. Seconds are those of the tests, of all
    workers together."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count the other's, too."""
        for outcome in OUTCOMES:
            self.counts[outcome] += other.counts[outcome]
        self.seconds += other.seconds
        self.wrong += other.wrong


def tallies_of(stats: dict[str, list[pytest.TestReport]]) -> dict[str, Tally]:
    """The tallies by kind of what pytest's terminal reporter has gathered."""
    table: dict[str, Tally] = defaultdict(Tally)
    # The unnamed outcome holds set-up and tear-down that went well: no test of its own, but time.
    for outcome in (*OUTCOMES, ""):
        for report in stats.get(outcome, []):
            kind = dict(getattr(report, "user_properties", [])).get("kind")
            if kind is None:
                continue
            tally = table[str(kind)]
            tally.seconds += report.duration
            if outcome:
                tally.counts[outcome] += 1
            if outcome in ("failed", "error"):
                tally.wrong.append(f"{outcome.upper():<6} {report.nodeid}")
    return table


def remembered(file: Path, table: dict[str, Tally]) -> dict[str, Tally]:
    """The tallies with those of the runs before that the file holds; the file then holds them all."""
    together: dict[str, Tally] = defaultdict(Tally)
    if file.exists() and (before := file.read_text(encoding="utf-8")):
        together |= {kind: Tally(**values) for kind, values in json.loads(before).items()}
    for kind, tally in table.items():
        together[kind].add(tally)
    file.write_text(json.dumps({kind: asdict(tally) for kind, tally in together.items()}), encoding="utf-8")
    return together


def lines(table: dict[str, Tally], already_told: Sequence[str]) -> list[str]:
    """A line for each kind, then what went wrong in the runs before this one, which has told its own."""
    shown = []
    for kind in KINDS:
        if tally := table.get(kind):
            counts = ", ".join(f"{tally.counts[name]} {name}" for name in OUTCOMES if tally.counts[name])
            shown.append(f"{kind:<12} {counts:<40} {tally.seconds:7.1f} s")
    wrong = [line for tally in table.values() for line in tally.wrong if line not in already_told]
    return shown + wrong
