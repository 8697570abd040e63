"""Are these words, or did a recognizer invent them for a noise? Decided by what it says of itself and by the sound."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipecatapp.languages import language
from pipecatapp.voice.recognition import SAMPLE_RATE

# As Whisper's authors use them: a segment above or below is silence, a guess, or the same words over and over.
_NO_SPEECH = 0.6
_UNSURE = -1.0
_REPETITIVE = 2.4
# Short words that people do say need a recognizer that is surer.
_SURE = -0.7
_SPEECH_THERE = 0.4
_SPEECH = language().speech
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_MOST_WORDS_A_SECOND = 7.0
_WORDS_AT_ONCE = 2  # in a sound of no length

# Voiced sound repeats itself 70 to 400 times a second.
_WINDOW = SAMPLE_RATE * 40 // 1000
_SHORTEST_LAG, _LONGEST_LAG = SAMPLE_RATE // 400, SAMPLE_RATE // 70
_PERIODIC = 0.55
_QUIET = 100.0  # of 32768; below it nobody speaks into this microphone
# The vowel of the shortest word; a click, a cough and a door have none.
LEAST_VOICED_S = 0.08


@dataclass(frozen=True, slots=True)
class Segment:
    """Some words and how sure the recognizer is of them.

    Attributes:
        text: the words.
        no_speech: the probability that there is no speech, 0 to 1.
        logprob: the mean log-probability of its tokens, 0 at most.
    """

    text: str
    no_speech: float = 0.0
    logprob: float = 0.0

    @property
    def compression(self) -> float:
        """How much shorter the text becomes when it is packed; words said over and over pack well."""
        data = self.text.encode()
        return len(data) / len(zlib.compress(data)) if data else 0.0


def sure_words(segments: Iterable[Segment]) -> str:
    """The words of which the recognizer is sure enough."""
    kept = [segment for segment in segments if segment.text.strip() and _is_sure(segment)]
    text = " ".join(segment.text.strip() for segment in kept)
    plain = plain_words(text)
    if plain in _SPEECH.phantoms:
        return ""
    if plain in _SPEECH.doubtful:
        worst = min(segment.logprob for segment in kept)
        silent = max(segment.no_speech for segment in kept)
        if worst < _SURE or silent > _SPEECH_THERE:
            return ""
    return text


def plain_words(text: str) -> str:
    """The words in lower case, without signs."""
    return " ".join(_WORD.findall(text.lower().replace("\u2019", "'")))


def is_believable(words: str, voiced_s: float, seconds: float) -> bool:
    """Whether so many words fit the sound.

    Args:
        words: what was recognized.
        voiced_s: how long a voice sounded in it, in seconds.
        seconds: from the first sound of speech to the last.
    """
    plain = plain_words(words)
    if not plain or plain in _SPEECH.phantoms or voiced_s < LEAST_VOICED_S:
        return False
    return len(plain.split()) <= _WORDS_AT_ONCE + _MOST_WORDS_A_SECOND * seconds


class VoicedSound:
    """Counts how long a voice sounds in PCM16 mono at 16 kHz, up to a second: more changes nothing."""

    _ENOUGH_S = 1.0

    def __init__(self) -> None:
        self._rest = b""
        self.seconds = 0.0

    def feed(self, pcm: bytes) -> None:
        """More sound."""
        if self.seconds >= self._ENOUGH_S:
            return
        sound = self._rest + pcm
        size = _WINDOW * 2
        whole = len(sound) // size * size
        self._rest = sound[whole:]
        for at in range(0, whole, size):
            if _is_voiced(np.frombuffer(sound[at : at + size], dtype=np.int16)):
                self.seconds += _WINDOW / SAMPLE_RATE


def _is_voiced(window: np.ndarray) -> bool:
    samples = window.astype(np.float64)
    samples -= samples.mean()
    if np.sqrt(np.mean(samples**2)) < _QUIET:
        return False
    spectrum = np.fft.rfft(samples, 2 * _WINDOW)
    repeats = np.fft.irfft(np.abs(spectrum) ** 2)[: _LONGEST_LAG + 1]
    # Fewer samples meet at longer lags.
    overlap = (_WINDOW - np.arange(_LONGEST_LAG + 1)) / _WINDOW
    likeness = repeats / (repeats[0] * overlap)
    lags = likeness[_SHORTEST_LAG:]
    # What swings slowly (a door, wind) is alike at every short lag: a voice is not.
    return bool(lags.max() > _PERIODIC and likeness[1:_SHORTEST_LAG].min() < lags.max() - 0.15)


def _is_sure(segment: Segment) -> bool:
    return segment.no_speech < _NO_SPEECH and segment.logprob > _UNSURE and segment.compression < _REPETITIVE
