"""Runs on a node, with the program's source beside it: keeps facts as fast as its disk takes them, or counts them.

    remembering.py write FOLDER     # two journals; a line for each fact that one has acknowledged
    remembering.py read FOLDER      # what each has, as JSON

The journal `hasty` waits for no disk, to see that the disk forgets.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

from pipecatapp.ports import JournalEvent
from pipecatapp.storage.fact_table import TOPIC, FactTable
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.records import FactAdded, StoredFact, to_body

NAMES = ("journal", "hasty")


def opened(folder: Path) -> tuple[dict[str, SqliteJournal], FactTable]:
    """Both journals."""
    facts = FactTable()
    journals = {name: SqliteJournal(folder / name, [facts]) for name in NAMES}
    for journal in journals.values():
        journal.open_now()
    return journals, facts


def write(folder: Path) -> None:
    """Until somebody pulls the plug."""
    journals, facts = opened(folder)
    journals["hasty"].database.execute("PRAGMA synchronous=OFF")
    first = max((facts.next_id(journal.database) for journal in journals.values()), default=1)
    for number in itertools.count(first):
        fact = StoredFact(number, f"the number {number} was said", "told", f"turn {number}", time.time())
        for name, journal in journals.items():
            journal.append_now(JournalEvent(TOPIC, {"records": [to_body(FactAdded(fact))]}))
            print(name, number, flush=True)


def read(folder: Path) -> None:
    """What is there."""
    journals, facts = opened(folder)
    there = {name: [fact.id for fact in facts.everything(journal.database)] for name, journal in journals.items()}
    print(json.dumps(there))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
