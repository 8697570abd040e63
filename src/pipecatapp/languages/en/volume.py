"""How loud: "louder", "a bit quieter", "50 percent", "turn it all the way up"."""

from __future__ import annotations

import re

from pipecatapp.languages.en.arithmetic import read_number
from pipecatapp.languages.volume_wish import VolumeWish

_UP = r"louder|up|higher|more|increase|raise|speak up|loud"
_DOWN = r"quieter|softer|lower|down|less|decrease|reduce|more quietly|more softly|quiet|soft"
_LITTLE = r"a bit|a little|a little bit|slightly|a touch|a tad|somewhat"
_MUCH = r"much|a lot|way|far|considerably|lots"
_MOST = r"(?:at |to )?(?:the )?(?:max|maximum|full|loudest|all the way up|as loud as (?:you can|possible)|top)"
_LEAST = r"(?:at |to )?(?:the )?(?:min|minimum|quietest|all the way down|as quiet as (?:you can|possible))"
_NONE = r"mute|muted|silent|silence|off|zero|nothing"
_PERCENT = re.compile(r"^(?:(?P<by>by) )?(?:to |at )?(?P<number>.+?) ?(?:%|percent|per cent)(?: (?P<way>.+))?$")
_FILLERS = re.compile(
    r"\b(?:please|the|your|my|volume|voice|sound|it|that|make|turn|set|put|speak|talk|be|can you|could you|yourself|"
    r"now|go|to|at)\b"
)
_LOUDEST, _QUIETEST, _HALF, _USUAL = 100, 10, 50, 70
_STEP, _SMALL, _LARGE = 15, 8, 30


def read(words: str) -> VolumeWish | None:
    """What is wished; None where it is not understood."""
    said = " ".join(words.casefold().strip(" .!?").split())
    if found := _PERCENT.match(_plain(said)):
        return _percent(found)
    bare = _plain(said)
    if re.fullmatch(_MOST, said) or re.fullmatch(_MOST, bare) or re.search(r"\ball the way up\b|\bas loud as\b", said):
        return VolumeWish(percent=_LOUDEST)
    if re.fullmatch(_LEAST, bare) or re.search(r"\ball the way down\b|\bas quiet as\b", said):
        return VolumeWish(percent=_QUIETEST)
    if re.fullmatch(_NONE, bare):
        return VolumeWish(percent=0)
    if bare in ("half", "halfway", "medium", "middle", "half way"):
        return VolumeWish(percent=_HALF)
    if re.fullmatch(r"unmute|unmuted|on|normal|usual|back normal", bare):
        return VolumeWish(percent=_USUAL)
    if found := re.search(r"\btoo (loud|quiet|soft)\b", said):
        return VolumeWish(by=-_STEP if found[1] == "loud" else _STEP)
    for pattern, sign in ((_DOWN, -1), (_UP, 1)):
        if found := re.fullmatch(
            rf"(?P<how>{_LITTLE}|{_MUCH})?\s*(?:{pattern})\s*(?P<behind>{_LITTLE}|{_MUCH})?", bare
        ):
            how = found["how"] or found["behind"] or ""
            size = _SMALL if re.fullmatch(_LITTLE, how) else _LARGE if re.fullmatch(_MUCH, how) else _STEP
            return VolumeWish(by=sign * size)
    if (number := read_number(bare)) is not None and 0 <= number <= 100:
        # "Volume five" is on a scale of ten.
        return VolumeWish(percent=int(number * 10) if number <= 10 else int(number))
    return None


def _plain(said: str) -> str:
    return " ".join(_FILLERS.sub(" ", said).split())


def _percent(found: re.Match[str]) -> VolumeWish | None:
    way, text = found["way"] or "", found["number"]
    for pattern, sign in ((_DOWN, -1), (_UP, 1)):
        if led := re.match(rf"(?:{pattern}) (?:by )?(?P<rest>.+)$", text):
            number = read_number(led["rest"])
            return None if number is None else VolumeWish(by=sign * int(number))
        if way and re.fullmatch(pattern, way):
            number = read_number(text)
            return None if number is None else VolumeWish(by=sign * int(number))
    number = read_number(text)
    return None if number is None or way or found["by"] else VolumeWish(percent=int(number))
