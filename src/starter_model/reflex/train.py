"""Trains the reflex: ``python -m starter_model.reflex.train`` writes ``pipecatapp/reflex/reflex.npz``, in minutes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import hashed
from pipecatapp.reflex.judges import FILE, cluster_of, frame
from pipecatapp.reflex.tagger import OUT
from pipecatapp.reflex.tokens import Token, tokens_of
from pipecatapp.tools.choice.vectors import word_vectors
from starter_model.reflex.calibrate import calibrate
from starter_model.reflex.fitting import NetworkFit, fit_linear, fit_tagger, known_words
from starter_model.reflex.recipe import recipe, vocabulary
from starter_model.reflex.wordings import TOOL_FILES, Wording, Wordings

COUNT, TAGGED = 130_000, 64_000
_SEED = 11
# A word or a pair stands around the arguments of a tool when it was heard so often there.
_HEARD = 3
logger = logging.getLogger(__name__)


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


def train(count: int, output: Path) -> None:
    """Draw the wordings, fit the judges, write the file."""
    meaning = word_vectors().of
    began = time.monotonic()

    def note(what: str) -> None:
        logger.info("%6.1f s  %s", time.monotonic() - began, what)

    drawing = Wordings(_SEED, vocabulary(), held_out=False)
    wordings = list(drawing.draw(count))
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
    readers: dict[str, Any] = {}
    for reader in range(2):
        some = tagged[reader::2]
        tag_hashes, tag_weights = fit_tagger(
            [wordings[at].label for at in some],
            [requests[at] for at in some],
            [tags[at] for at in some],
            arguments,
            clusters,
        )
        readers |= {f"tag_hashes_{reader}": tag_hashes, f"tag_weights_{reader}": tag_weights.astype(np.float16)}
        note(f"tagger: {len(tag_hashes)} weights over {len(some)} requests")
    stored: dict[str, Any] = {
        "about": json.dumps({"labels": labels, "arguments": arguments, "known": known, "recipe": recipe()}),
        "linear_hashes": hashes, "linear_bias": bias, **_bytes_of(weights),
        **{f"network_{name}": value.astype(np.float16) for name, value in network.parameters.items()},
        **readers, "around": _around(wordings, requests),
        "sure": np.zeros(0, np.float32),
    }  # fmt: skip
    with output.open("wb") as stream:
        np.savez_compressed(stream, **stored)
    note(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


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
    calibrate(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
