"""Which words of a sentence that is still being spoken can be relied on already."""

from __future__ import annotations


class StableTranscript:
    """Agreement of successive hypotheses: the words that two in a row share, without the last one heard.

    A recognizer revises the end of its hypothesis most; work that starts early (recall, prompt evaluation) should
    build on words that stay.
    """

    def __init__(self) -> None:
        self._previous: list[str] = []
        self._stable: list[str] = []

    def update(self, hypothesis: str) -> str | None:
        """A new hypothesis; returns the stable words when they changed and there are any."""
        words = hypothesis.split()
        agreed: list[str] = []
        for old, new in zip(self._previous, words, strict=False):
            if old != new:
                break
            agreed.append(new)
        if len(agreed) == len(words):
            agreed = agreed[:-1]
        self._previous = words
        if not agreed or agreed == self._stable:
            return None
        self._stable = agreed
        return " ".join(agreed)

    def reset(self) -> None:
        """Start the next sentence."""
        self._previous, self._stable = [], []
