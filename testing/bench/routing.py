"""How often the fast classifier finds the right expert, how often it abstains where it should, and how long it takes.

    scripts/bench routing
    scripts/bench routing --data data_full.json

Always over the project's own set (testing/data/routing.jsonl, never learned from). ``--data`` names a set in CLINC150's
JSON format: learned from its ``train`` and ``oos_train``, measured on its ``test`` and ``oos_test``. ``in_scope`` is
the share of in-scope requests that get their intent (abstaining counts as wrong) where ``oos_recall`` of the others are
refused; ``..._val`` are the same two figures with the threshold that ``oos_val`` alone would have chosen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipecatapp.memory.embedding import MODEL_NAME
from pipecatapp.memory.part import create_meanings
from pipecatapp.paths import prompts_folder
from pipecatapp.routing.classifier import Meanings, RequestClassifier
from pipecatapp.routing.examples import read_examples
from pipecatapp.settings import load_settings

OWN = Path(__file__).parents[1] / "data" / "routing.jsonl"
Rows = Sequence[tuple[str, str]]


def main() -> int:
    """Measure what was asked for."""
    options = _options()
    look = create_meanings(options.embedding)
    if look is None:
        print(f"no embedding model in {options.embedding}: words alone decide; --embedding names its folder\n")
    report = _own(look)
    if options.data:
        report |= _clinc(options.data, look, options.recall)
    print(json.dumps(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench routing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a set in CLINC150's JSON format")
    parser.add_argument(
        "--recall", type=float, default=0.8, help="the out-of-scope recall to measure at (default: 0.8)"
    )
    parser.add_argument(
        "--embedding", type=Path, default=load_settings().models / MODEL_NAME, help="folder of the embedding model"
    )
    return parser.parse_args()


def _own(look: Meanings | None) -> dict[str, float]:
    examples, others = read_examples(prompts_folder(load_settings()))
    began = time.monotonic()
    classifier = RequestClassifier.fit(examples, others, look)
    count = sum(map(len, examples.values())) + len(others)
    print(f"own set: learned {count} examples in {time.monotonic() - began:.1f} s")
    table: dict[str, list[str | None]] = defaultdict(list)
    for line in OWN.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        table[row["expert"] or "none"].append(classifier.classify(row["text"]).label)
    print(f"{'for':<12} {'requests':>8} {'right':>7} {'abstained':>10} {'wrong':>6}")
    for label, found in table.items():
        wanted = None if label == "none" else label
        right = found.count(wanted)
        abstained = 0 if wanted is None else found.count(None)
        wrong = len(found) - right - abstained
        print(f"{label:<12} {len(found):>8} {right / len(found):>7.3f} {abstained:>10} {wrong:>6}")
    decided = [(label, one) for label, found in table.items() if label != "none" for one in found]
    sent = [(label, one) for label, found in table.items() for one in found if one is not None]
    return {
        "own_found": round(sum(label == one for label, one in decided) / len(decided), 4),
        "own_precision": round(sum(label == one for label, one in sent) / max(1, len(sent)), 4),
        "own_none_kept": round(table["none"].count(None) / len(table["none"]), 4),
    }


def _clinc(path: Path, look: Meanings | None, recall: float) -> dict[str, float]:
    data: dict[str, Rows] = json.loads(path.read_text(encoding="utf-8"))
    examples: dict[str, list[str]] = defaultdict(list)
    for text, label in data["train"]:
        examples[label].append(text)
    began = time.monotonic()
    classifier = RequestClassifier.learn(examples, [text for text, _ in data["oos_train"]], look)
    seconds = time.monotonic() - began
    print(f"\n{path.name}: learned {len(data['train'])} examples of {len(examples)} intents in {seconds:.0f} s")
    from_val = classifier.threshold_for([text for text, _ in data["oos_val"]], recall)
    classifier.threshold = -np.inf
    times = []
    inside = []
    for text, label in data["test"]:
        start = time.perf_counter()
        found = classifier.classify(text)
        times.append(1000 * (time.perf_counter() - start))
        inside.append((found.label == label, found.score))
    outside = [classifier.classify(text).score for text, _ in data["oos_test"]]

    def at(threshold: float) -> tuple[float, float]:
        hits = statistics.fmean(hit and score > threshold for hit, score in inside)
        return round(hits, 4), round(statistics.fmean(score <= threshold for score in outside), 4)

    print("in-scope accuracy  out-of-scope recall")
    for share in sorted({0.5, 0.6, 0.7, 0.8, 0.9, recall}):
        accuracy, refused = at(float(np.quantile(outside, share)))
        print(f"{accuracy:>17.4f}  {refused:>19.4f}")
    val_accuracy, val_refused = at(from_val)
    print(f"{val_accuracy:>17.4f}  {val_refused:>19.4f}  (threshold from oos_val)")
    accuracy, refused = at(float(np.quantile(outside, recall)))
    return {
        "in_scope": accuracy,
        "oos_recall": refused,
        "in_scope_val": val_accuracy,
        "oos_recall_val": val_refused,
        "p50_ms": round(statistics.median(times), 3),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1], 3),
    }


if __name__ == "__main__":
    sys.exit(main())
