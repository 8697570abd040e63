"""Text as the model writes it -> text that can be spoken: no fences, asterisks, headings or control tokens.

Streaming: however the text is cut into pieces, the same characters come out.
"""

from __future__ import annotations

_LONGEST_CONTROL_TOKEN = 40
_LANGUAGE = frozenset("+#.-_")


class SpeakableFilter:
    """Takes the model's words piece by piece and gives back what may be spoken."""

    def __init__(self) -> None:
        self._held = ""
        self._previous = "\n"
        self._line_start = True
        self._in_fence = False

    def feed(self, text: str) -> str:
        """What can be spoken now; a piece that may turn out to be markup is held back."""
        return self._consume(text, final=False)

    def finish(self) -> str:
        """The rest, when the model has ended."""
        return self._consume("", final=True)

    def _consume(self, text: str, *, final: bool) -> str:
        buffer, self._held = self._held + text, ""
        out: list[str] = []
        at = 0
        while at < len(buffer):
            char = buffer[at]
            if char in "`*#<":
                taken, kept = self._markup(buffer, at, final)
                if taken == 0:
                    self._held = buffer[at:]
                    break
            else:
                taken, kept = 1, char
            for passed in buffer[at : at + taken]:
                self._line_start = passed == "\n" or (self._line_start and passed.isspace())
            self._previous = buffer[at + taken - 1]
            out.append(kept)
            at += taken
        return "".join(out)

    def _markup(self, buffer: str, at: int, final: bool) -> tuple[int, str]:
        """How many characters from ``at`` are decided, and what is spoken of them; 0: more text is needed."""
        char = buffer[at]
        if char == "<":
            return _control_token(buffer, at, final)
        end = at
        while end < len(buffer) and buffer[end] == char:
            end += 1
        if end == len(buffer) and not final:
            return 0, ""
        length = end - at
        following = buffer[end] if end < len(buffer) else ""
        if char == "`":
            return (self._fence(buffer, at, end, final), "") if length >= 3 else (length, "")
        if char == "*":
            times = length == 1 and self._previous in " \t" and following == " " and not self._line_start
            return (1, "*") if times else (length + (self._line_start and following == " "), "")
        heading = self._line_start and following == " "
        return (length + 1, "") if heading else (length, buffer[at:end])

    def _fence(self, buffer: str, at: int, end: int, final: bool) -> int:
        if self._in_fence:
            self._in_fence = False
            return end - at
        language = end
        while language < len(buffer) and (buffer[language].isalnum() or buffer[language] in _LANGUAGE):
            language += 1
        if language == len(buffer) and not final:
            return 0
        self._in_fence = True
        return (language if buffer[language : language + 1] in ("\n", "") else end) - at


def _control_token(buffer: str, at: int, final: bool) -> tuple[int, str]:
    """``<|im_end|>`` and its kind."""
    if at + 1 == len(buffer):
        return (1, "<") if final else (0, "")
    if buffer[at + 1] != "|":
        return 1, "<"
    window = buffer[at + 2 : at + _LONGEST_CONTROL_TOKEN]
    close = window.find("|>")
    newline = window.find("\n")
    if close >= 0 and not 0 <= newline < close:
        return close + 4, ""
    if newline >= 0 or len(window) == _LONGEST_CONTROL_TOKEN - 2:
        return 1, "<"
    return (len(buffer) - at, "") if final else (0, "")


def speakable(text: str) -> str:
    """A whole text at once."""
    words = SpeakableFilter()
    return words.feed(text) + words.finish()
