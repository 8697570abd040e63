"""What the fast classifier learns from: ``<expert>_examples.txt`` and ``router_examples.txt`` beside the personas.

One request a line, ``#`` begins a comment. A person who adds an expert adds a file for it; without one only the model
sends requests there.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pipecatapp.routing.classifier import Meanings, RequestClassifier

logger = logging.getLogger(__name__)

_ENDING = "_examples"
_ROUTER = "router"
# Fewer say too little of what an expert is asked.
_FEWEST = 10


def read_examples(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The requests for each expert, and those that are for none of them. A file that cannot be read is left out."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob(f"*{_ENDING}.txt")):
        try:
            lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read (%s); requests like it are left to the model", path, error)
            continue
        found[path.stem.removesuffix(_ENDING)] = [line for line in lines if line and not line.startswith("#")]
    others = found.pop(_ROUTER, [])
    return {name: lines for name, lines in found.items() if len(lines) >= _FEWEST}, others


class LearnedRouting:
    """Implements ``ports.Classifier``: learns in the background once, and abstains until then.

    Args:
        folder: where the examples are.
        meanings: rows for sentences, or None: words alone decide.
    """

    def __init__(self, folder: Path, meanings: Meanings | None) -> None:
        self._folder = folder
        self._meanings = meanings
        self._classifier: RequestClassifier | None = None
        self._learning: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Learn in the background."""
        self._learning = asyncio.create_task(self.learn(), name="learn routing")

    async def aclose(self) -> None:
        """Stop waiting for it."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)

    async def learn(self) -> None:
        """Read the examples and learn from them; what is wrong with them is logged, and costs only the short cut."""
        try:
            self._classifier = await asyncio.to_thread(self._learned)
        except Exception:
            logger.exception("the classifier could not learn from %s; the model routes alone", self._folder)

    async def classify(self, text: str) -> tuple[str | None, float]:
        """The expert for a clear case and how clear it is, or None. Takes at most some milliseconds."""
        if self._classifier is None:
            return None, 0.0
        found = await asyncio.to_thread(self._classifier.classify, text)
        return found.label, found.score

    def _learned(self) -> RequestClassifier | None:
        examples, others = read_examples(self._folder)
        if not examples or len(others) < _FEWEST:
            logger.info("no examples for a classifier in %s; the model routes alone", self._folder)
            return None
        return RequestClassifier.fit(examples, others, self._meanings)
