"""Long-term memory: time of a recall, facts lost in crashes, and how often the right fact is found.

    scripts/bench memory
    scripts/bench memory --embedding ~/models/all-minilm-l6-v2 --data locomo10.json

``--data`` names a set of long conversations in LoCoMo's JSON format; each utterance becomes a fact, and the evidence of
each question must be among the ten best. ``--tune`` tries other weights on invented facts. Both need the embedding
model. The CPU column is what a recall takes of one core, however busy the machine is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.memory import ranking
from pipecatapp.memory.embedding import MODEL_NAME, Embedder
from pipecatapp.memory.fact_index import FactIndex, NewFact, clean
from pipecatapp.memory.index import Floats, VectorIndex
from pipecatapp.memory.keywords import KeywordIndex
from pipecatapp.memory.upkeep import TextEmbedder
from pipecatapp.settings import load_settings
from pipecatapp.storage.fact_table import same_words
from testing.fakes.crash_points import run_crash_points
from testing.fakes.embedding import HashEmbedder
from testing.fakes.memory_corpus import UNRELATED, corpus, dialogue, endless
from testing.fakes.storage import close_storage, memory_in, storage_in

Report = dict[str, Any]

DIMENSIONS = 384
TOP = 10


def main() -> None:
    """Run what was asked for, print tables, then one line of JSON."""
    options = _options()
    logging.disable(logging.WARNING)
    report: Report = {}
    if options.tune:
        asyncio.run(_tune(Embedder(options.embedding)))
        return
    if not options.only_data:
        report |= _speed(options.sizes, options.queries)
        report |= _crashes(options.stories)
    if options.data is not None:
        report |= asyncio.run(_quality(options.data, Embedder(options.embedding)))
    print(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], help="numbers of facts")
    parser.add_argument("--queries", type=int, default=300, help="recalls that are timed for each size")
    parser.add_argument("--stories", type=int, default=20, help="random stories that are killed at every operation")
    parser.add_argument("--data", type=Path, help="long conversations with questions, LoCoMo's JSON")
    parser.add_argument("--only-data", action="store_true", help="leave out what does not need --data")
    parser.add_argument(
        "--embedding", type=Path, default=load_settings().models / MODEL_NAME, help="folder of the model"
    )
    parser.add_argument("--tune", action="store_true", help="try weights on invented facts, nothing else")
    return parser.parse_args()


class _Once:
    """Embeds each text once, though three methods are compared."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._rows: dict[str, Floats] = {}

    async def load(self) -> None:
        await self._embedder.load()

    async def embed(self, texts: Sequence[str]) -> Floats:
        if new := [text for text in dict.fromkeys(texts) if text not in self._rows]:
            self._rows.update(zip(new, await self._embedder.embed(new), strict=True))
        return np.stack([self._rows[text] for text in texts])


class _Known:
    """Gives the vectors of known queries at once: the embedding is not what is measured."""

    def __init__(self, texts: Sequence[str], rows: Floats) -> None:
        self._row_of = dict(zip(texts, rows, strict=True))

    async def load(self) -> None:
        return None

    async def embed(self, texts: Sequence[str]) -> Floats:
        return np.stack([self._row_of[text] for text in texts])


def _speed(sizes: Sequence[int], queries: int) -> Report:
    report: Report = {}
    print(
        f"{'facts':>8} {'p50 ms':>8} {'p95 ms':>8} {'CPU p95':>8} {'open s':>8} {'RSS MB':>8} {'nearest 10 found':>17}"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            row = asyncio.run(_speed_at(Path(folder), size, queries))
        times = " ".join(f"{row[name]:>8.2f}" for name in ("p50", "p95", "cpu_p95", "open_s"))
        print(f"{size:>8} {times} {row['rss_mb']:>8.0f} {row['found']:>17.3f}")
        name = f"{size // 1000}k" if size % 1000 == 0 else str(size)
        report |= {f"p50_ms_{name}": round(row["p50"], 2), f"p95_ms_{name}": round(row["p95"], 2)}
        report |= {f"cpu_p95_ms_{name}": round(row["cpu_p95"], 2), f"open_s_{name}": round(row["open_s"], 2)}
        report |= {f"rss_mb_{name}": round(row["rss_mb"]), f"nearest10_{name}": round(row["found"], 3)}
    return report


async def _speed_at(folder: Path, size: int, queries: int) -> dict[str, float]:
    hashed = HashEmbedder(DIMENSIONS)
    # A real model never puts two texts as near to each other as shared words do here.
    rng = np.random.default_rng(0)
    texts = list(islice(endless(), size))
    _write(folder, texts, hashed, rng)
    chosen = random.Random(1).sample(texts, min(queries, size))
    asked = [" ".join(text.split()[:8]) for text in chosen]
    rows = _blurred(hashed.embed_now(asked), rng)

    memory = memory_in(folder, _Known(asked, rows), embedding_model="hashed")
    before = _rss_mb()
    start = time.perf_counter()
    await memory.open()
    opened = time.perf_counter() - start
    await memory.settled()
    times, cpu = [], []
    for query in asked:
        start, busy = time.perf_counter(), time.process_time()
        await memory.recall(query)
        times.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - busy) * 1000)
    rss = _rss_mb() - before
    await memory.close()
    close_storage(folder)
    p50, p95 = np.percentile(times, [50, 95])
    return {
        "p50": p50,
        "p95": p95,
        "cpu_p95": float(np.percentile(cpu, 95)),
        "open_s": opened,
        "rss_mb": rss,
        "found": _nearest_found(folder, rows),
    }


def _write(folder: Path, texts: Sequence[str], embedder: HashEmbedder, rng: np.random.Generator) -> None:
    book = _index(folder)
    for start in range(0, len(texts), 2000):
        part = texts[start : start + 2000]
        facts = book.add([NewFact(text) for text in part])
        book.embed(facts, _blurred(embedder.embed_now([fact.text for fact in facts]), rng))
    book.close()
    close_storage(folder)


def _index(folder: Path) -> FactIndex:
    storage = storage_in(folder)
    book = FactIndex(folder, storage.journal, storage.facts, model="hashed", clock=time.time)
    book.open()
    return book


def _blurred(rows: Floats, rng: np.random.Generator) -> Floats:
    noisy = rows + rng.normal(scale=0.5 / rows.shape[1] ** 0.5, size=rows.shape)
    result: Floats = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    return result


def _nearest_found(folder: Path, queries: Floats) -> float:
    """The share of the ten nearest vectors, by exact arithmetic, that the index finds."""
    book = _index(folder)
    index: VectorIndex = book.vectors
    ids = list(index.ids())
    found = 0
    for query in queries[:100]:
        exact = index.cosines(query, ids)
        nearest = {ids[place] for place in np.argpartition(-exact, TOP)[:TOP]}
        found += len(nearest & {fact_id for fact_id, _ in index.search(query, TOP)})
    book.close()
    close_storage(folder)
    return found / (TOP * len(queries[:100]))


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def _crashes(stories: int) -> Report:
    start = time.perf_counter()
    verdict = run_crash_points(stories)
    print(
        f"\n{verdict.crash_points} crash points ({verdict.disk_errors} after a disk error): "
        f"{verdict.lost} lost, {verdict.unreadable} unreadable, {time.perf_counter() - start:.1f} s"
    )
    for detail in verdict.details[:3]:
        print(f"  {detail[:400]}")
    return {"crash_points": verdict.crash_points, "lost": verdict.lost, "unreadable": verdict.unreadable}


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Sample:
    # Utterance id -> what was said by whom.
    utterances: dict[str, str]
    questions: list[_Question]


def read_locomo(path: Path) -> list[_Sample]:
    """The utterances and those questions whose evidence is among them."""
    samples = []
    for entry in json.loads(path.read_text(encoding="utf-8")):
        conversation = entry["conversation"]
        utterances = {}
        sessions = sorted((name for name in conversation if re.fullmatch(r"session_\d+", name)), key=_number)
        for session in sessions:
            for said in conversation[session]:
                text = f"{said['speaker']}: {said.get('text', '')}"
                if said.get("blip_caption"):
                    text += f" (shows {said['blip_caption']})"
                utterances[said["dia_id"]] = clean(text)
        questions = []
        for qa in entry["qa"]:
            # Some entries name several utterances in one string.
            named = frozenset(re.findall(r"D\d+:\d+", " ".join(qa.get("evidence", []))))
            if named & utterances.keys():
                questions.append(_Question(qa["question"], int(qa.get("category", 0)), named & utterances.keys()))
        samples.append(_Sample(utterances, questions))
    return samples


def _number(session: str) -> int:
    return int(session.removeprefix("session_"))


async def _quality(path: Path, embedder: TextEmbedder) -> Report:
    """Recall@10 of the evidence by words, by meaning, and by both as the agent recalls."""
    shares: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, sample in enumerate(read_locomo(path), start=1):
        print(f"conversation {number}: {len(sample.utterances)} utterances", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            for question, found in await _ask_all(Path(folder), sample, embedder):
                for method, names in found.items():
                    share = len(question.evidence & set(names)) / len(question.evidence)
                    shares[method][question.category].append(share)
    methods = ["bm25", "vector", "hybrid"]
    print(f"\nrecall@{TOP}  {'questions':>10} " + " ".join(f"{method:>8}" for method in methods))
    categories = sorted(shares["hybrid"])
    for category in categories:
        line = " ".join(f"{np.mean(shares[method][category]):>8.3f}" for method in methods)
        print(f"category {category} {len(shares['hybrid'][category]):>10} {line}")
    means = {
        method: float(np.mean([share for category in categories for share in shares[method][category]]))
        for method in methods
    }
    total = sum(len(shares["hybrid"][category]) for category in categories)
    print(f"all        {total:>10} " + " ".join(f"{means[method]:>8.3f}" for method in methods))
    return {
        "questions": total,
        "recall10": round(means["hybrid"], 4),
        "recall10_bm25": round(means["bm25"], 4),
        "recall10_vector": round(means["vector"], 4),
        "ratio_bm25": round(means["hybrid"] / means["bm25"], 3),
    }


async def _ask_all(
    folder: Path, sample: _Sample, embedder: TextEmbedder
) -> list[tuple[_Question, dict[str, list[str]]]]:
    embedder = _Once(embedder)
    memory = memory_in(folder, embedder, embedding_model=MODEL_NAME, embed_timeout_s=60.0)
    await memory.open()
    await memory.import_lines(json.dumps({"text": text}) for text in sample.utterances.values())
    # Words that were said twice are one fact; the later utterance stands for it.
    said = {same_words(text): name for name, text in sample.utterances.items()}
    facts = await memory.facts(limit=len(memory))
    names = {fact.id: said[same_words(fact.text)] for fact in facts}
    words, vectors = KeywordIndex(), VectorIndex(MODEL_NAME)
    vectors.add(list(names), await embedder.embed([fact.text for fact in facts]))
    for fact in facts:
        words.add(fact.id, fact.text)
    await memory.settled()
    queries = await embedder.embed([question.text for question in sample.questions])
    answers = []
    for question, query in zip(sample.questions, queries, strict=True):
        found = {
            "bm25": [names[fact_id] for fact_id in words.scores(question.text).best(TOP)],
            "vector": [names[fact_id] for fact_id, _ in vectors.search(query, TOP)],
            "hybrid": [names[int(fact.id)] for fact in await memory.recall(question.text, TOP)],
        }
        answers.append((question, found))
    await memory.close()
    close_storage(folder)
    return answers


async def _tune(embedder: TextEmbedder) -> None:
    """How often the right one of invented facts is found, by the weights of meaning and of the neighbours."""
    for title, (texts, questions) in {"facts alone": corpus(400), "as people tell them": dialogue(400)}.items():
        words, vectors = KeywordIndex(), VectorIndex(MODEL_NAME)
        for number, text in enumerate(texts):
            words.add(number, text)
        vectors.add(range(len(texts)), await embedder.embed(texts))
        asked = list(zip(questions, await embedder.embed([question.text for question in questions]), strict=True))
        print(
            f"\n{title}\n{'meaning':>8} {'context':>8} {'first':>7} {'in 3':>7} {'in 10':>7} {'score, lowest 5%':>17}"
        )
        for meaning, context in product((0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0), (0.0, 0.2, 0.3, 0.4)):
            places, scores = [], []
            for question, row in asked:
                ranked = ranking.rank(
                    question.text, row, words, vectors, 50, all_that_match=True, meaning=meaning, context=context
                )
                order = [fact_id for fact_id, _ in ranked]
                places.append(order.index(question.answer) if question.answer in order else 50)
                scores.append(dict(ranked).get(question.answer, 0.0))
            found = " ".join(f"{np.mean(np.array(places) < limit):>7.3f}" for limit in (1, 3, 10))
            print(f"{meaning:>8} {context:>8} {found} {np.percentile(scores, 5):>17.3f}")
        silly = zip(UNRELATED, await embedder.embed(UNRELATED), strict=True)
        best = [
            ranking.rank(text, row, words, vectors, 1, all_that_match=True, context=0.0)[0][1] for text, row in silly
        ]
        print("small talk scores at best:", " ".join(f"{score:.2f}" for score in sorted(best)))


if __name__ == "__main__":
    main()
