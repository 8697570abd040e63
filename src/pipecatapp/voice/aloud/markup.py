"""Takes out of an answer what has no sound: headings, bullets, emphasis, code, the target of a link, tags.

Streaming: what may still turn out to be markup is held back, at most a line of a table or a few hundred characters, so
that the same words come out however the text is cut.
"""

from __future__ import annotations

import html
import re

from pipecatapp.voice.aloud.pieces import Piece

_SPECIAL = re.compile(r"[`~*<\[\]&\n]")
_LONGEST_RUN = 64  # of equal signs that are looked at together
_LONGEST_ROW = 2000  # characters of a table's row
_LONGEST_INFO = 100  # behind the opening of a fence
_LONGEST_LABEL = 300  # of a link, and of what is struck through
_LONGEST_TARGET = 600
_LONGEST_INDENT = 40
_LONGEST_TAG = 440
# Tags that people write about and nobody wants to hear.
_TAG = re.compile(
    r"</?(?:tool_call|tool_response|think|thinking|thought|reasoning|reflection|function)>|<\|/?[A-Za-z_]{1,40}\|>"
    r"|\[/?(?:TOOL_CALLS|TOOL_RESULTS|THINK)\]"
)
_HTML = re.compile(
    r"</?(?:(?P<plain>b|i|em|strong|u|s|sub|sup|kbd|mark|small|thead|tbody|tr|ul|summary|h[1-6])"
    r"|(?P<rich>a|p|div|span|img|font|td|th|table|ol|li|code|pre|details|br|hr)(?:[ \t][^<>\n]{0,200})?)/?>"
)
_BREAKING = frozenset({"br", "p", "div", "li", "hr", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})
_PERHAPS_TAG = re.compile(
    r"</?[a-z_0-9]{0,13}/?|<\|/?[A-Za-z_]{0,40}\|?"
    r"|</?(?:a|p|div|span|img|font|td|th|table|ol|li|code|pre|details|br|hr)[ \t][^<>\n]{0,201}"
)
_AUTOLINK = re.compile(r"<([a-zA-Z][a-zA-Z0-9+.-]{1,20}:[^\s<>]{1,300}|[\w.+-]{1,64}@[\w.-]{1,100})>")
_PERHAPS_AUTOLINK = re.compile(
    r"<(?:[a-zA-Z][a-zA-Z0-9+.-]{0,20}(?::[^\s<>]{0,300})?|[\w.+-]{1,64}(?:@[\w.-]{0,100})?)"
)
_PERHAPS_MARKER = re.compile(r"\[/?[A-Z_]{0,12}")
_ENTITY = re.compile(r"&(?:[a-z]{2,6}|#\d{1,5});")
_PERHAPS_ENTITY = re.compile(r"&(?:[a-z]{0,6}|#\d{0,5})")
_RULE = re.compile(r"([-*_=])(?:[ \t]*\1){2,}[ \t]*")
_NUMBERED = re.compile(r"(\d{1,3})[.)][ \t]")
_PERHAPS_NUMBERED = re.compile(r"\d{1,3}[.)]?")
_CHECKBOX = re.compile(r"\[([ xX])\][ \t]")
_PERHAPS_CHECKBOX = re.compile(r"(?:\[(?:[ xX]\]?)?)?")
_BULLETS = "-*+\u2022\u2013"
_CELL_ENDS = re.compile(r"(?<!\\)\|")
_DIVIDER = re.compile(r"[\s|:=+-]+")
_SENTENCE_ENDS = ".!?\u2026:"

# What ``_beginning`` and the inline rules answer: how much is decided, and its pieces; None: more text is needed.
_Decided = tuple[int, list[Piece]]


class Markup:
    """Takes an answer bit by bit and gives back its words, not yet said.

    Args:
        on_the_page: what is said in place of code.
    """

    def __init__(self, on_the_page: str) -> None:
        self._on_the_page = on_the_page
        self._held = ""
        self._previous = "\n"
        self._line_start = True
        self._fence = ""

    def feed(self, text: str) -> list[Piece]:
        """What is decided now; ``written`` of all pieces together is the text that came in."""
        return self._read(text, final=False)

    def finish(self) -> list[Piece]:
        """The rest, when the answer has ended; the next one may begin."""
        rest = self._read("", final=True)
        self._previous, self._line_start, self._fence = "\n", True, ""
        return rest

    def _read(self, text: str, *, final: bool) -> list[Piece]:
        buffer, self._held = self._held + text, ""
        out: list[Piece] = []
        at = 0
        while at < len(buffer):
            decided = self._next(buffer, at, final)
            if decided is None:
                self._held = buffer[at:]
                break
            taken, pieces = decided
            self._previous = buffer[at + taken - 1]
            out += pieces
            at += taken
        return out

    def _next(self, buffer: str, at: int, final: bool) -> _Decided | None:
        if self._fence:
            return self._code(buffer, at, final)
        if self._line_start:
            beginning = self._beginning(buffer, at, final)
            if beginning is None or beginning[0]:
                return beginning
        special = _SPECIAL.search(buffer, at)
        stop = special.start() if special else len(buffer)
        if stop > at:
            return stop - at, [Piece(buffer[at:stop], buffer[at:stop])]
        return self._inline(buffer, at, final)

    # At the beginning of a line.

    def _beginning(self, buffer: str, at: int, final: bool) -> _Decided | None:
        """The sign that a line begins with; nothing taken where it begins with words."""
        start, most = at, min(len(buffer), at + _LONGEST_INDENT)
        while start < most and buffer[start] in " \t":
            start += 1
        if start == len(buffer):
            return (0, []) if final else None
        char = buffer[start]
        if char == "|":
            return self._row(buffer, at, start, final)
        if char == ">":
            return self._quotation(buffer, at, start, final)
        length: int | None = 0
        said = ""
        if char == "#":
            length = _heading(buffer, start, final)
        elif char in "-*_=+\u2022\u2013":
            length, said = _bullet(buffer, start, final)
        elif char.isdigit():
            if (number := _NUMBERED.match(buffer, start)) is not None:
                length, said = len(number[0]), f"{number[1]}, "
            elif not final and _PERHAPS_NUMBERED.fullmatch(buffer, start):
                length = None
        if length is None:
            return None
        self._line_start = False
        return (start + length - at, [Piece(said, buffer[at : start + length])]) if length else (0, [])

    def _quotation(self, buffer: str, at: int, start: int, final: bool) -> _Decided | None:
        if start + 1 == len(buffer) and not final:
            return None
        if buffer[start + 1 : start + 2] == "=":
            self._line_start = False
            return 0, []
        end = start + 1 + (buffer[start + 1 : start + 2] == " ")
        return end - at, [Piece("", buffer[at:end])]

    def _row(self, buffer: str, at: int, start: int, final: bool) -> _Decided | None:
        """A row of a table is one sentence; the line below the head is none."""
        end = buffer.find("\n", start, start + _LONGEST_ROW)
        if end < 0:
            if len(buffer) - start >= _LONGEST_ROW:
                self._line_start = False
                return 0, []
            if not final:
                return None
            end = len(buffer)
        row = buffer[start:end].strip().strip("|")
        said = ""
        if not _DIVIDER.fullmatch(row):
            cells = [self._inside(cell).strip() for cell in _CELL_ENDS.split(row)]
            said = ", ".join(cell for cell in cells if cell)
            said += "" if said[-1:] in _SENTENCE_ENDS else "."
        self._line_start = False
        return end - at, [Piece(said, buffer[at:end])]

    def _inside(self, text: str) -> str:
        """The words of what is marked up within something else."""
        inner = Markup(self._on_the_page)
        inner._line_start = False
        return "".join(piece.spoken for piece in inner.feed(text) + inner.finish())

    # Within a line.

    def _inline(self, buffer: str, at: int, final: bool) -> _Decided | None:
        char = buffer[at]
        if char == "\n":
            self._line_start = True
            return 1, [Piece("\n", "\n")]
        if char == "<":
            return _tag(buffer, at, final)
        if char == "[":
            return self._bracket(buffer, at, final)
        if char == "]":
            return 1, [Piece("", "]")]
        if char == "&":
            return _entity(buffer, at, final)
        end, most = at, min(len(buffer), at + _LONGEST_RUN)
        while end < most and buffer[end] == char:
            end += 1
        if end == len(buffer) and end - at < _LONGEST_RUN and not final:
            return None
        length = end - at
        if char == "*":
            return length, [Piece(self._asterisks(length, buffer[end : end + 1]), buffer[at:end])]
        if length >= 3:
            return self._opening(buffer, at, end, final)
        if char == "~":
            return _struck_through(buffer, at, length, final)
        return length, [Piece("", buffer[at:end])]

    def _asterisks(self, length: int, following: str) -> str:
        """Emphasis is silent, a product is not: 5*3 is not 53."""
        operand = self._previous.isdigit() or self._previous == ")"
        if length == 1 and operand and (following.isalnum() or following == "("):
            return " times "
        if length == 1 and self._previous in " \t" and following == " ":
            return "times"
        return ""

    def _opening(self, buffer: str, at: int, end: int, final: bool) -> _Decided | None:
        """Three backticks: code follows where their line ends without more of them, else they are as good as one."""
        sign, stop = buffer[at], buffer.find("\n", end, end + _LONGEST_INFO)
        info = buffer[end : stop if stop >= 0 else end + _LONGEST_INFO]
        if stop < 0 and not final and len(info) < _LONGEST_INFO and sign * 3 not in info:
            return None
        if (close := info.find(sign * 3)) >= 0:
            close += end + 3
            return close - at, [Piece(self._inside(buffer[end : close - 3]), buffer[at:close])]
        if sign in info or len(info) == _LONGEST_INFO or (stop < 0 and " " in info):
            return end - at, [Piece("", buffer[at:end])]
        self._fence = sign * 3
        stop = len(buffer) if stop < 0 else stop
        return stop - at, [Piece(f"\n{self._on_the_page}\n", buffer[at:stop])]

    def _code(self, buffer: str, at: int, final: bool) -> _Decided | None:
        """Inside of a fence nothing is spoken."""
        sign = self._fence[0]
        close = buffer.find(self._fence, at)
        if close < 0:
            held = 0 if final else len(buffer) - len(buffer.rstrip(sign))
            end = len(buffer) - min(held, 2)
            return (end - at, [Piece("", buffer[at:end])]) if end > at else None
        end = close
        while end < len(buffer) and buffer[end] == sign:
            end += 1
        if end == len(buffer) and not final and end - close < _LONGEST_RUN:
            return (close - at, [Piece("", buffer[at:close])]) if close > at else None
        self._fence = ""
        self._line_start = False
        return end - at, [Piece("", buffer[at:end])]

    def _bracket(self, buffer: str, at: int, final: bool) -> _Decided | None:
        """A link's words are spoken, its target and the number of a footnote are not; other brackets have no sound."""
        if (marker := _TAG.match(buffer, at)) is not None:
            return len(marker[0]), [Piece("", marker[0])]
        if not final and _PERHAPS_MARKER.fullmatch(buffer, at):
            return None
        close = _closing(buffer, at + 1, _LONGEST_LABEL)
        if close is None:
            return (1, [Piece("", "[")]) if final else None
        if close < 0:
            return 1, [Piece("", "[")]
        label = buffer[at + 1 : close]
        if label.lstrip("^").isdigit():
            return close + 1 - at, [Piece("", buffer[at : close + 1])]
        if close + 1 == len(buffer) and not final:
            return None
        opening = buffer[close + 1 : close + 2]
        if opening not in ("(", "["):
            return 1, [Piece("", "[")]
        end = _closing(buffer, close + 2, _LONGEST_TARGET, opening)
        if end is None and not final:
            return None
        if end is None or end < 0:
            return 1, [Piece("", "[")]
        words = self._inside(label)
        return end + 1 - at, [Piece(words, buffer[at : end + 1])]


def _heading(buffer: str, start: int, final: bool) -> int | None:
    end = start
    while end < min(len(buffer), start + 7) and buffer[end] == "#":
        end += 1
    if end == len(buffer):
        return 0 if final else None
    return end + 1 - start if end - start < 7 and buffer[end] in " \t" else 0


def _bullet(buffer: str, start: int, final: bool) -> tuple[int | None, str]:
    """How long the sign of a list's item or a line across the page is, and what is said of it."""
    stop = buffer.find("\n", start, start + _LONGEST_RUN)
    if _RULE.fullmatch(buffer, start, stop if stop >= 0 else len(buffer)) and (stop >= 0 or final):
        return (stop if stop >= 0 else len(buffer)) - start, ""
    sign = buffer[start]
    unsure = stop < 0 and not final and len(buffer) - start < _LONGEST_RUN
    if unsure and not buffer[start:].strip(f"{sign} \t") and sign in "-*_=":
        return None, ""
    if sign not in _BULLETS or buffer[start + 1 : start + 2] not in (" ", "\t"):
        return (None if unsure and start + 1 == len(buffer) else 0), ""
    if (box := _CHECKBOX.match(buffer, start + 2)) is not None:
        return 2 + len(box[0]), "" if box[1] == " " else "done, "
    if unsure and _PERHAPS_CHECKBOX.fullmatch(buffer, start + 2):
        return None, ""
    return 2, ""


def _tag(buffer: str, at: int, final: bool) -> _Decided | None:
    if (tag := _TAG.match(buffer, at)) is not None:
        return len(tag[0]), [Piece("", tag[0])]
    if (tag := _HTML.match(buffer, at)) is not None:
        return len(tag[0]), [Piece("\n" if (tag["plain"] or tag["rich"]) in _BREAKING else "", tag[0])]
    if (link := _AUTOLINK.match(buffer, at)) is not None:
        return len(link[0]), [Piece(link[1], link[0])]
    may_grow = not final and len(buffer) - at <= _LONGEST_TAG
    if may_grow and (_PERHAPS_TAG.fullmatch(buffer, at) or _PERHAPS_AUTOLINK.fullmatch(buffer, at)):
        return None
    return 1, [Piece("<", "<")]


def _entity(buffer: str, at: int, final: bool) -> _Decided | None:
    if (entity := _ENTITY.match(buffer, at)) is not None:
        return len(entity[0]), [Piece(html.unescape(entity[0]), entity[0])]
    if not final and _PERHAPS_ENTITY.fullmatch(buffer, at):
        return None
    return 1, [Piece("&", "&")]


def _struck_through(buffer: str, at: int, length: int, final: bool) -> _Decided | None:
    """What is taken back is not spoken."""
    if length == 1:
        return 1, [Piece("~", "~")]
    close = buffer.find("~~", at + 2, at + _LONGEST_LABEL)
    line = buffer.find("\n", at, close if close >= 0 else at + _LONGEST_LABEL)
    if close > 0 and line < 0:
        return close + 2 - at, [Piece("", buffer[at : close + 2])]
    if close < 0 and line < 0 and not final and len(buffer) - at < _LONGEST_LABEL:
        return None
    return length, [Piece("", buffer[at : at + length])]


def _closing(buffer: str, start: int, longest: int, opening: str = "[") -> int | None:
    """Where what was opened before ``start`` is closed in the same line; -1: nowhere, None: not yet."""
    close = ")" if opening == "(" else "]"
    depth = 0
    for place in range(start, min(len(buffer), start + longest)):
        char = buffer[place]
        if char == close:
            if not depth:
                return place
            depth -= 1
        elif char == opening and opening == "(":
            depth += 1
        elif char == "\n" or char == opening:
            return -1
    return None if len(buffer) < start + longest else -1
