"""Says how sure the judges may be, from wordings that training never saw: the last step of training, or alone.

``python -m starter_model.reflex.calibrate`` does it again for the file that is there.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.judges import FILE, Judges
from pipecatapp.reflex.reflex import is_tool
from pipecatapp.tools.choice.vectors import word_vectors
from starter_model.reflex.comparing import same_arguments
from starter_model.reflex.recipe import recipe, vocabulary
from starter_model.reflex.wordings import Wording, Wordings, arguments_of

HELD_OUT = 7_000
_SEED = 12
logger = logging.getLogger(__name__)


def calibrate(file: Path) -> None:
    """Fit the confidence of the judges in this file and write it there, with the recipe of now."""
    with np.load(file) as read:
        stored = {name: read[name] for name in read.files}
    stored["sure"] = np.zeros(0, np.float32)
    held_out = list(Wordings(_SEED, vocabulary(), held_out=True).draw(HELD_OUT))
    stored["sure"] = fit_sure(Judges(stored, word_vectors().of), held_out)
    stored["about"] = np.asarray(json.dumps(json.loads(str(stored["about"])) | {"recipe": recipe()}))
    with file.open("wb") as stream:
        np.savez_compressed(stream, **stored)


def fit_sure(judges: Judges, held_out: Sequence[Wording]) -> npt.NDArray[np.float32]:
    """How sure to be: logistic regression of "right" on the judges' signs, over wordings that training never saw."""
    signs, right = [], []
    for wording in held_out:
        judgement = judges.judge(wording.text)
        if not is_tool(judgement.label):
            continue
        signs.append(judgement.signs)
        right.append(
            judgement.label == wording.label
            and same_arguments(wording.label, arguments_of(wording), judgement.arguments)
        )
    rows, goal = np.stack(signs).astype(np.float64), np.array(right, np.float64)
    weights = np.zeros(rows.shape[1])
    ridge = np.eye(len(weights))
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - goal) + ridge @ weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + ridge
        weights -= np.linalg.solve(curve, slope)
    logger.info("held out: %d acted on, %.3f right", len(goal), goal.mean())
    return weights.astype(np.float32)


def main() -> int:
    """Calibrate the file that comes with the program."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    calibrate(FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
