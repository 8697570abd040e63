"""Did the person mean to interrupt, or was it a cough, the television, or the agent's own voice?

The speaker falls silent at the first sound that is taken for speech, at once. Only words end the answer; without them
it goes on where it stopped. After two false alarms in one answer only words silence the speaker.
"""

from __future__ import annotations

import re

from pipecatapp.languages import language

_SPEECH = language().speech
_ECHO_WORDS = 2
_WORD = re.compile(r"[a-z0-9']+")

ALARMS_TOLERATED = 2


def means_interruption(words: str, spoken: str, *, final: bool = False) -> bool:
    """Whether recognized words show that the person really speaks.

    Args:
        words: what was recognized so far.
        spoken: what the agent has said and is about to say: its own words coming back are an echo.
        final: the recognizer is done with this stretch; then one word is enough.
    """
    heard = _WORD.findall(words.lower())
    meant = [word for word in heard if word not in _SPEECH.fillers]
    if any(word in _SPEECH.commands for word in meant):
        return True
    if not meant or (len(heard) < 2 and not final):
        return False
    return not _is_echo(heard, _WORD.findall(spoken.lower()))


def _is_echo(heard: list[str], spoken: list[str]) -> bool:
    """Whether the words stand in the answer one after the other."""
    if len(heard) < _ECHO_WORDS:
        return False
    return f" {' '.join(heard)} " in f" {' '.join(spoken)} "
