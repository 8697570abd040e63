"""The phonemes of a text, by Debian's ``espeak-ng``. It is GPL-3, and stays a program of its own.

The program leaves out punctuation, which a voice needs for its melody: the text goes there piece by piece, and each
piece gets its mark back.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from pipecatapp.errors import SpeechError

_TIMEOUT_S = 10.0
# A mark counts before a space or the end: not in 3.14 or 9:30. A point behind a short word may be "Dr.".
_MARK = re.compile(r"(?:(?P<sure>[,;:!?…])|(?:(?<=[^\W\d_]{3})|(?<=\d))\.)(?=\s|$)|\.(?=\s*$)")
_SENTENCE_ENDS = ".!?"
# What the program says about itself: a change of language, pauses. ``[[`` would make it read phonemes.
_REMARKS = re.compile(r"\([a-z-]+\)|_")
_STEERING = str.maketrans("[]", "  ")


def sentences(text: str, voice: str) -> Iterator[str]:
    """The phonemes in IPA, with punctuation, a sentence at a time.

    Args:
        text: one or more sentences, or a part of one.
        voice: of espeak-ng, e.g. ``en-us``.

    Raises:
        SpeechError: espeak-ng is not there, or fails.
    """
    sentence = ""
    for words, mark in _pieces(text.translate(_STEERING)):
        spoken = _phonemes(words, voice)
        if not spoken:
            continue
        sentence += f"{' ' if sentence else ''}{spoken}{mark}"
        if mark and mark in _SENTENCE_ENDS:
            yield sentence
            sentence = ""
    if sentence:
        yield sentence


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Words, and the mark behind them; an ellipsis is the end of a sentence here."""
    start = 0
    for match in _MARK.finditer(text):
        yield text[start : match.start()], match[0].replace("…", ".")
        start = match.end()
    yield text[start:], ""


def _phonemes(words: str, voice: str) -> str:
    if not any(character.isalnum() for character in words):
        return ""
    command = ["espeak-ng", "-q", "--ipa", "-b", "1", "-v", voice, "--stdin"]
    try:
        done = subprocess.run(command, input=words.encode(), capture_output=True, timeout=_TIMEOUT_S, check=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise SpeechError(f"espeak-ng ended with status {error.returncode}: {said[:200]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeechError(f"espeak-ng could not be run: {error}; run: apt install espeak-ng") from error
    return " ".join(_REMARKS.sub("", done.stdout.decode("utf-8", "replace")).split())
