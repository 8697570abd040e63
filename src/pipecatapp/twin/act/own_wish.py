"""Whose wish a call is: what needs no further yes must come from the person's own words, not from what was read."""

from __future__ import annotations

import re

from pipecatapp.domain import ToolCall
from pipecatapp.own_words import hold_all
from pipecatapp.ports import ToolContext

_LONGEST_SAID = 300  # characters of a value that a person can have said word by word


def is_own_wish(call: ToolCall, context: ToolContext) -> bool:
    """Whether the call can only be the person's own wish: what they allowed for the session covers nothing else.

    Never where text that somebody else wrote stands in the prompt; where memories do, each value must have been said.
    """
    if context.tainted:
        return False
    said = " ".join(context.words.split()).casefold()
    values = [" ".join(str(value).split()).casefold() for value in call.arguments.values()]
    return not context.recalled or all(
        len(value) <= _LONGEST_SAID and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", said) is not None
        for value in values
    )


def may_carry(context: ToolContext) -> bool:
    """Whether these words can carry a call at all: a person's, in a conversation, and nothing beside them that somebody
    else wrote. A client of the API may have its words from anywhere."""
    return context.speaker == "person" and bool(context.conversation) and not context.tainted


def is_carried(call: ToolCall, context: ToolContext) -> bool:
    """Whether the person's words of this turn hold every value of the call."""
    return may_carry(context) and hold_all(context.words, call.arguments)
