"""Made-up results of tools, and how they are said: sentences as they are, raw output by its first line."""

from __future__ import annotations

import random

from starter_model.turns import Request
from starter_model.values import Values, load_shapes

# These answer with output, not with a sentence.
_RAW = frozenset({"ssh.run_command", "code_runner.run_python_code", "ansible.run_playbook"})


class Results:
    """Draws results that fit a request."""

    def __init__(self, rng: random.Random, values: Values) -> None:
        self._rng = rng
        self._values = values

    def of(self, request: Request) -> tuple[str, str]:
        """The tool's text, and the assistant's sentence about it."""
        roll = self._rng.random()
        if roll < 0.12:
            reason = self._draw("reason")
            return f"error: {reason}", f"That did not work: {reason}."
        if request.tool in _RAW:
            return self._raw()
        sentence = self._sentence("sentence" if roll < 0.25 else str(request.tool))
        return sentence, sentence

    def observation(self) -> str:
        """What a camera sees."""
        return self._sentence("seen")

    def _sentence(self, kind: str) -> str:
        text = self._draw(kind)
        return text[:1].upper() + text[1:]

    def _draw(self, kind: str) -> str:
        patterns, weights = load_shapes("results.txt")[kind]
        return self._values.fill(self._rng.choices(patterns, weights)[0].expand(self._rng))

    def _raw(self) -> tuple[str, str]:
        if self._rng.random() < 0.08:
            return "(no output)", "It worked and printed nothing."
        lines = [self._draw("raw") for _ in range(self._rng.choice([1, 1, 1, 2, 3, 4]))]
        said = f"It says: {lines[0]}" if len(lines) == 1 else f"The first line says: {lines[0]}"
        return "\n".join(lines), said
