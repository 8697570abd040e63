"""The words of a request while it is being said."""

from __future__ import annotations

from pipecatapp.voice.stable import StableTranscript


class RequestWords:
    """Stretches that were recognized to their end, the one that still grows, and a request that these go on with."""

    def __init__(self) -> None:
        self._stretches: list[str] = []
        self._growing = ""
        self._continued = ""
        self._stable = StableTranscript()

    def __bool__(self) -> bool:
        """Whether anything was said, or is gone on with."""
        return bool(self._stretches or self._continued)

    @property
    def begun(self) -> bool:
        """Whether a stretch of it was recognized to its end."""
        return bool(self._stretches)

    @property
    def growing(self) -> bool:
        """Whether a stretch is only half recognized."""
        return bool(self._growing)

    @property
    def text(self) -> str:
        """All of it, as far as it is known."""
        return " ".join(part for part in (self._continued, *self._stretches, self._growing) if part)

    def begin(self) -> None:
        """The person begins to speak: what is stable is found anew."""
        self._stable.reset()

    def hear(self, words: str, *, whole: bool = False) -> str | None:
        """The growing stretch, as far as it was recognized; returns all that is stable where that changed: where it is
        ``whole`` up to a pause, all of it."""
        self._growing = words
        stable = self._stable.update(self.text)
        return self.text if whole else stable

    def complete(self, words: str) -> None:
        """The growing stretch, recognized to its end."""
        self._growing = ""
        self._stretches.append(words)

    def lose(self) -> None:
        """Nothing came of the growing stretch."""
        self._growing = ""

    def go_on_with(self, text: str) -> None:
        """What follows belongs to a request that was said before."""
        self._continued = text

    def forget(self) -> None:
        """Only what was said is forgotten, not what it goes on with."""
        self._stretches.clear()

    def take(self) -> str:
        """The whole request; the next one begins."""
        self._growing = ""
        text = self.text
        self._stretches.clear()
        self._continued = ""
        self._stable.reset()
        return text
