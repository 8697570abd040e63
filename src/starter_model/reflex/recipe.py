"""What the trained file of the reflex is made from, as one checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
VOCABULARY = ROOT / "src" / "pipecatapp" / "tools" / "choice" / "words.npz"


def recipe() -> str:
    """The checksum of all that the trained file is made from: phrases, word table, and the code that makes it."""
    folder = ROOT / "src" / "starter_model"
    files = [
        *folder.glob("phrases/*.txt"), *folder.glob("reflex/phrases/*.txt"), VOCABULARY,
        *(folder / f"reflex/{name}.py" for name in ("amounts", "calibrate", "comparing", "fitting", "slots", "train")),
        folder / "reflex/wordings.py",
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
