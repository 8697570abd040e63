"""Did the person mean to interrupt, or was it a cough, the television, a sign of listening, or the agent's own voice?

The speaker falls silent at the first sound that is taken for speech, at once. Only words end the answer; without them,
and with words of who only goes on listening ("mm-hm", "got it"), it goes on where it stopped. After two false alarms in
one answer only words silence the speaker.
"""

from __future__ import annotations

from pipecatapp.languages import language
from pipecatapp.voice.echo import is_echo, words_of

_SPEECH = language().speech
_PHRASES = frozenset(tuple(phrase.split()) for phrase in _SPEECH.acknowledgements)
_LONGEST_PHRASE = max(len(phrase) for phrase in _PHRASES)

ALARMS_TOLERATED = 2


def means_interruption(words: str, spoken: str, *, final: bool = False, asked: bool = False) -> bool:
    """Whether recognized words show that the person really speaks.

    Args:
        words: what was recognized so far.
        spoken: what the agent has said lately and is about to say: its own words coming back are an echo.
        final: the recognizer is done with this stretch; then one word is enough.
        asked: the agent is asking something: then what else is a sign of listening is an answer.
    """
    heard = words_of(words)
    meant = [word for word in heard if word not in _SPEECH.fillers]
    commands = [word for word in meant if word in _SPEECH.commands]
    if commands and len(commands) == len(meant):
        return True
    if is_acknowledgement(heard):
        return asked and final and bool(heard)
    if not meant or is_echo(words, spoken):
        return False
    return bool(commands) or final or len(heard) > 1


def is_acknowledgement(heard: list[str]) -> bool:
    """Whether words in lower case are nothing but signs of listening."""
    at = 0
    while at < len(heard):
        for length in range(min(_LONGEST_PHRASE, len(heard) - at), 0, -1):
            if tuple(heard[at : at + length]) in _PHRASES:
                at += length
                break
        else:
            if heard[at] not in _SPEECH.fillers:
                return False
            at += 1
    return True
