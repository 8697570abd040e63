"""Trains the reflex: ``python -m starter_model.reflex.train`` writes ``pipecatapp/reflex/reflex.npz``, in minutes."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import hashed
from pipecatapp.reflex.judges import FILE, Judges, cluster_of, frame
from pipecatapp.reflex.tagger import OUT
from pipecatapp.reflex.tokens import Token, tokens_of
from pipecatapp.tools.choice.vectors import word_vectors
from starter_model.reflex.fitting import NetworkFit, fit_linear, fit_tagger, known_words
from starter_model.reflex.wordings import TOOL_FILES, Wording, Wordings, arguments_of

ROOT = Path(__file__).resolve().parents[3]
VOCABULARY = ROOT / "src" / "pipecatapp" / "tools" / "choice" / "words.npz"
COUNT, TAGGED, HELD_OUT = 130_000, 50_000, 10_000
_SEED = 11
# A word or a pair stands around the arguments of a tool when it was heard so often there.
_HEARD = 3
logger = logging.getLogger(__name__)


def recipe() -> str:
    """The checksum of all that the trained file is made from: phrases, word table, and the code that makes it."""
    folder = ROOT / "src" / "starter_model"
    files = [
        *folder.glob("phrases/*.txt"), *folder.glob("reflex/phrases/*.txt"), VOCABULARY,
        *(folder / f"reflex/{name}.py" for name in ("amounts", "fitting", "slots", "train", "wordings")),
        *(folder / f"{name}.py" for name in ("patterns", "values", "speech", "turns")),
        *(ROOT / "src/pipecatapp/reflex" / f"{name}.py" for name in ("tokens", "features", "tagger", "network")),
    ]  # fmt: skip
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def vocabulary() -> list[str]:
    """English words, the frequent ones first."""
    with np.load(VOCABULARY) as stored:
        return [word for word in str(stored["words"]).split() if word.isalpha()]


def tags_of(wording: Wording, tokens: Sequence[Token]) -> list[str]:
    """The argument that each word belongs to."""
    found = [OUT] * len(tokens)
    for start, end, name in wording.spans:
        for at, token in enumerate(tokens):
            if token.start < end and token.end > start:
                found[at] = name
    return found


def argument_names(wordings: Sequence[Wording]) -> dict[str, list[str]]:
    """The arguments of each label, in a stable order."""
    found: dict[str, set[str]] = {}
    for wording in wordings:
        found.setdefault(wording.label, set()).update(name for _, _, name in wording.spans)
    return {label: sorted(names) for label, names in sorted(found.items()) if names}


def fit_sure(judges: Judges, held_out: Sequence[Wording]) -> npt.NDArray[np.float32]:
    """How sure to be: logistic regression of "right" on the judges' signs, over wordings that training never saw."""
    signs, right = [], []
    for wording in held_out:
        judgement = judges.judge(wording.text)
        if "." not in judgement.label and judgement.label not in ("undo", "say_again", "what_can_you_do"):
            continue
        signs.append(judgement.signs)
        right.append(judgement.label == wording.label and dict(judgement.arguments) == dict(arguments_of(wording)))
    rows, goal = np.stack(signs).astype(np.float64), np.array(right, np.float64)
    weights = np.zeros(rows.shape[1])
    ridge = np.eye(len(weights)) * 0.5
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - goal) + ridge @ weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + ridge
        weights -= np.linalg.solve(curve, slope)
    logger.info("held out: %d acted on, %.3f right", len(goal), goal.mean())
    return weights.astype(np.float32)


def train(count: int, output: Path) -> None:
    """Draw the wordings, fit the judges, calibrate, write the file."""
    meaning = word_vectors().of
    began = time.monotonic()

    def note(what: str) -> None:
        logger.info("%6.1f s  %s", time.monotonic() - began, what)

    drawing = Wordings(_SEED, vocabulary(), held_out=False)
    wordings = list(drawing.draw(count))
    held_out = list(Wordings(_SEED + 1, vocabulary(), held_out=True).draw(HELD_OUT))
    labels = sorted({wording.label for wording in wordings})
    requests = [tokens_of(wording.text) for wording in wordings]
    marks = np.array([labels.index(wording.label) for wording in wordings])
    arguments = argument_names(wordings)
    note(f"{count} wordings of {len(labels)} labels, from {', '.join(TOOL_FILES)} and others")
    hashes, weights, bias = fit_linear(requests, marks, len(labels))
    note(f"linear judge: {len(hashes)} features")
    known = known_words(requests)
    network = NetworkFit(known, len(labels), meaning)
    network.fit(requests, marks)
    note(f"network: {len(known)} words of its own")
    tagged = [at for at, w in enumerate(wordings) if w.label in arguments][:TAGGED]
    tags = {at: tags_of(wordings[at], requests[at]) for at in tagged}
    clusters = {word: cluster_of(meaning, word) for at in tagged for word in {token.word for token in requests[at]}}
    tag_hashes, tag_weights = fit_tagger(
        [wordings[at].label for at in tagged], [requests[at] for at in tagged], list(tags.values()), arguments, clusters
    )
    note(f"tagger: {len(tag_hashes)} weights over {len(tagged)} requests")
    stored: dict[str, Any] = {
        "about": json.dumps({"labels": labels, "arguments": arguments, "known": known, "recipe": recipe()}),
        "linear_hashes": hashes, "linear_bias": bias, **_bytes_of(weights),
        **{f"network_{name}": value.astype(np.float16) for name, value in network.parameters.items()},
        "tag_hashes": tag_hashes, "tag_weights": tag_weights.astype(np.float16), "around": _around(wordings, requests),
        "sure": np.zeros(0, np.float32),
    }  # fmt: skip
    stored["sure"] = fit_sure(Judges(_arrays(stored), meaning), held_out)
    note("calibrated")
    with output.open("wb") as stream:
        np.savez_compressed(stream, **stored)
    note(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


def _arrays(stored: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
    return {name: np.asarray(value) for name, value in stored.items()}


def _bytes_of(weights: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.generic]]:
    """The weights of each class as bytes with a scale."""
    scale = np.abs(weights).max(axis=0) / 127 + 1e-9
    return {"linear_weights": np.rint(weights / scale).astype(np.int8), "linear_scale": scale.astype(np.float32)}


def _around(wordings: Sequence[Wording], requests: Sequence[Sequence[Token]]) -> npt.NDArray[np.uint32]:
    """The words and pairs that are heard around the arguments of each tool."""
    heard: Counter[int] = Counter()
    for wording, tokens in zip(wordings, requests, strict=True):
        if wording.label == "mind":
            continue
        around = frame(tokens, tags_of(wording, tokens))
        heard.update({hashed(f"{wording.label} {word}") for word in around})
        pairs = zip(["<", *around], [*around, ">"], strict=True)
        heard.update({hashed(f"{wording.label} {a} {b}") for a, b in pairs})
    return np.array(sorted(key for key, times in heard.items() if times >= _HEARD), np.uint32)


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m starter_model.reflex.train", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="wordings to learn from")
    parser.add_argument("--output", type=Path, default=FILE, help="the trained file")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(options.count, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
