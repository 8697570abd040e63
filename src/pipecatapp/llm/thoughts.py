"""Finds out whether a model's answers begin inside of a thought that nothing in them opens.

Such models get the opening marker with the prompt, and write only the closing one. llama-server's own template tells;
of another server nobody knows before its first answer, which is therefore held back until it is clear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipecatapp.ports import ChatChunk

_CLOSED_BY = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",
    "\u25c1think\u25b7": "\u25c1/think\u25b7",
}
_MARKERS = tuple(_CLOSED_BY)
_OPENING = (*_MARKERS, "<|channel|>", "<|start|>", "analysis<|message|>", "Here is my thought", "Here's my thought")
_NAMED = r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|\u25c1/think\u25b7"
# In a line of its own, or not as a word of a sentence ("it ends with </think>, they say").
_CLOSING = re.compile(rf"(?:^|\n)\s{{0,20}}(?:{_NAMED})|(?<![`\"'\u201c])(?:{_NAMED})(?=[^ \t.,;:)!?'\"`\u201d\u2019])")
_ENDS_IN_CLOSING = re.compile(rf"(?:(?:^|\n)\s{{0,20}}|(?<=[^\s`\"'\u201c]))(?:{_NAMED})\Z")
_LONGEST_CLOSING = 40
# Models that think, by their names: for an answer that was cut off before it said anything else of itself.
_THINKERS = re.compile(r"(?i)(?:^|[-_/: ])r1\b|qwq|think|reason|magistral|gpt-oss|nemotron")
_MOST_HELD = 100_000  # characters


def opens_thought(prompt: str) -> bool:
    """Whether a prompt, as a template makes it, ends with the opening marker of a thought."""
    return prompt.rstrip().endswith(_MARKERS)


def close_thought(prompt: str) -> str:
    """What ends the thought that a prompt opens at its end; empty: it opens none."""
    open_end = prompt.rstrip()
    return next((f"\n{close}\n\n" for opening, close in _CLOSED_BY.items() if open_end.endswith(opening)), "")


def thinks_apart(event: Mapping[str, Any]) -> bool:
    """Whether the server sends this part of a thought beside the answer, so that the answer holds none."""
    for choice in event.get("choices") or []:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and (delta.get("reasoning_content") or delta.get("reasoning")):
            return True
    return False


class Thoughts:
    """What is known of one model.

    Args:
        begins: its answers begin inside of a thought; None: nobody knows yet.
        name: the model's.
    """

    def __init__(self, begins: bool | None = None, name: str = "") -> None:
        self.begins = begins
        self.seen = bool(begins)
        self.likely = _THINKERS.search(name) is not None


class ThoughtFilter:
    """Marks the beginning of one answer.

    Args:
        thoughts: what is known; learns.
        begun: the answer was begun elsewhere already, outside of a thought.
    """

    def __init__(self, thoughts: Thoughts, *, begun: bool = False) -> None:
        self._thoughts = thoughts
        self._held = ""
        self._searched = 0
        self._decided = begun

    def feed(self, text: str, *, apart: bool = False) -> ChatChunk | None:
        """The next piece as it goes on; ``apart``: the server sent a part of a thought beside it."""
        if apart:
            self._thoughts.begins, self._thoughts.seen = False, True
        if not text:
            return ChatChunk() if apart else None
        if self._decided:
            return ChatChunk(text)
        if self._thoughts.begins is None:
            self._held += text
            return self._decide()
        return self._release(text, begins=self._thoughts.begins)

    def finish(self, reason: str | None) -> ChatChunk | None:
        """What was held back, when the answer has ended."""
        if self._decided or not self._held:
            return None
        if reason == "length":
            return self._release("", begins=self._thoughts.likely)
        self._thoughts.begins = _ENDS_IN_CLOSING.search(self._held) is not None
        return self._release("", begins=self._thoughts.begins)

    def _decide(self) -> ChatChunk:
        lead = self._held.lstrip()
        if any(lead.startswith(marker) for marker in _OPENING):
            self._thoughts.begins, self._thoughts.seen = False, True
            return self._release("", begins=False)
        if _CLOSING.search(self._held, self._searched):
            self._thoughts.begins = self._thoughts.seen = True
            return self._release("", begins=True)
        self._searched = max(0, len(self._held) - _LONGEST_CLOSING)
        if len(self._held) > _MOST_HELD:
            return self._release("", begins=False)
        return ChatChunk()  # it is alive

    def _release(self, text: str, *, begins: bool) -> ChatChunk:
        held, self._held = self._held + text, ""
        self._decided = True
        return ChatChunk(held, opens_thought=begins)
