"""What begins without a marker of one word: the channels of harmony, also where a server has taken out their control
tokens, and Granite's headings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipecatapp.twin.speak.markers import (
    HARMONY_CALL_ENDS,
    HARMONY_ENDS,
    HEADER,
    LONGEST_HEADER,
    RECIPIENT,
    Kind,
    Marker,
)

_ANALYSIS = re.compile(r"analysis(?=[A-Z])")
_CHANNEL = re.compile(
    r"(?:assistant)?((?:analysis|commentary|final)(?: to=[\w.-]{1,80})?(?: ?<\|constrain\|>\w{1,20})?)<\|message\|>"
)
_PERHAPS_CHANNEL = re.compile(r"(?:assistant)?(?:analysis|commentary|final)(?: [\w=.-]{0,90})?(?: ?<[\w|>]{0,60})?")
_HEADINGS = ("Here is my thought process:", "Here's my thought process:")
_ANSWERS = ("Here is my response:", "Here's my response:")
_WORDS = ("assistantanalysis", "assistantcommentary", "assistantfinal", "analysis", "commentary", "final", *_HEADINGS)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What begins: a thought, a call (``recipient``: of which tool) or (None) the words. ``end`` is behind its sign. An
    ``assumed`` one that never ends was none."""

    end: int
    marker: Marker | None
    recipient: str = ""
    assumed: bool = False


def find_beginning(text: str, at: int, *, final: bool) -> Beginning | bool:
    """What begins here; True: more text is needed, False: nothing but words.

    ``final``: no more text follows.
    """
    for heading in _HEADINGS:
        if text.startswith(heading, at):
            return Beginning(at + len(heading), Marker(Kind.THOUGHT, "", _ANSWERS), assumed=True)
    if (channel := _CHANNEL.match(text, at)) is not None:
        return _begin_channel(channel[1], channel.end())
    if (analysis := _ANALYSIS.match(text, at)) is not None:
        return Beginning(analysis.end(), Marker(Kind.THOUGHT, "", ("assistantfinal",)), assumed=True)
    rest = text[at : at + 200]
    open_ended = any(word.startswith(rest) for word in _WORDS) or _PERHAPS_CHANNEL.fullmatch(rest) is not None
    return bool(rest) and open_ended and not final


def find_channel(text: str, at: int, behind: int, *, final: bool) -> Beginning | None:
    """The same of a channel whose control tokens are there: only the final one is words. Without a header its token,
    which ends at ``behind``, says nothing. None: more text is needed."""
    if (header := HEADER.match(text, at)) is not None:
        return _begin_channel(header[1], header.end())
    return None if len(text) - at < LONGEST_HEADER and not final else Beginning(behind, None)


def _begin_channel(header: str, end: int) -> Beginning:
    if recipient := RECIPIENT.search(header):
        return Beginning(end, Marker(Kind.CALL, "", HARMONY_CALL_ENDS), recipient[1])
    is_thought = "analysis" in header or "commentary" in header
    return Beginning(end, Marker(Kind.THOUGHT, "", HARMONY_ENDS) if is_thought else None)
