"""Makes src/pipecatapp/tools/choice/words.npz: English words as small vectors, from the embedding model.

.venv/bin/python scripts/lib/make_word_table.py STATE_DIR/models/all-minilm-l6-v2
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from pipecatapp.memory.embedding import Embedder

TARGET = Path(__file__).parents[2] / "src/pipecatapp/tools/choice/words.npz"
FREQUENT = 8000  # the principal components are those of the words that people use


def make(model: Path, dimensions: int) -> None:
    """Ask the model about each whole word of its vocabulary, keep the first components as bytes."""
    vocabulary = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    # The vocabulary of BERT stands in the order of frequency.
    words = [w for w in sorted(vocabulary, key=vocabulary.__getitem__) if w.isascii() and w.isalnum() and len(w) >= 2]
    rows = Embedder(model).embed_now(words).astype(np.float64)
    rows -= rows.mean(axis=0)
    _, _, components = np.linalg.svd(rows[:FREQUENT], full_matrices=False)
    rows = rows @ components[:dimensions].T
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scale = 127 / np.abs(rows).max()
    np.savez_compressed(TARGET, words=np.array(" ".join(words)), rows=np.round(rows * scale).astype(np.int8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="the folder of all-minilm-l6-v2")
    parser.add_argument("--dimensions", type=int, default=64)
    options = parser.parse_args()
    make(options.model, options.dimensions)
