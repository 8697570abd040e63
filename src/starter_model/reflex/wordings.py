"""Requests with their label and the places of their arguments, made from ``phrases/*.txt`` in several styles."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from starter_model.patterns import Part, Pattern, Slot, load_sections, parse_pattern
from starter_model.reflex.slots import Slots
from starter_model.speech import spoken
from starter_model.turns import TOOLS
from starter_model.values import Values

# A pattern of which the checksum falls here is held out: training never sees it, calibration sees nothing else.
HELD_OUT_SHARE = 7
TOOL_FILES = ("skills.txt", "people.txt", "voices.txt", "house.txt", "more.txt")
MIND, TALK, CANNOT = "mind", "talk", "cannot"

# How often a kind is drawn; a section of a tool counts 1.
_OLD_SECTION, _MIND, _TALK, _CANNOT, _EXPERT, _FLIPPED = 0.8, 75.0, 14.0, 2.2, 3.0, 9.0
_SECTIONS_OF_TALK = {"abilities": "what_can_you_do", "repeat": "say_again", "media": "cannot devices"}
# What the starter model gave to an expert or the clock, and a tool does now: sums, units, the calendar.
_NOW_A_TOOL = re.compile(
    r"plus|minus|times|divided|percent|per cent|convert|squared|square root|take away|modulo|halve|multipl|factorial"
    r"|how many (?!legs|bones|people)|how much (?:is|does|do)|third|\(add|subtract|in binary|days|weeks"
)
_LEFT_OUT_OF_TALK = ("stop", "unclear", "nohost", "weather talk")

_BEFORE = (
    "please", "hey", "ok", "hi", "hello", "so", "now", "well", "computer", "hey computer", "assistant", "um", "uh",
    "okay",
    "alright", "listen", "quick question", "one more thing", "good morning", "sorry", "excuse me", "thanks and",
    "and", "next",
    "then", "yes", "right", "oh", "by the way", "good evening", "my friend", "if you can", "when you have a moment",
    "before i forget", "dear assistant", "no wait", "also", "yo", "first", "erm", "hmm", "oi", "hey there", "ah",
)  # fmt: skip
_AFTER = (
    "please", "for me", "now", "thanks", "thank you", "right now", "ok", "would you", "if you can", "quickly",
    "will you",
    "computer", "could you", "my friend", "when you can", "if possible", "real quick", "mate", "then", "at once",
    "asap", "pls",
    "be so kind", "can you", "love", "dear", "cheers", "thx", "if you would", "if you don't mind",
    "thank you very much",
)  # fmt: skip
_WRAPPERS = (
    "can you", "could you", "would you", "please", "will you", "i want you to", "i need you to", "can you please",
    "could you please", "go ahead and", "i would like you to", "try to", "you should", "let's", "just",
    "may i ask you to",
    "do me a favor and", "be so kind and", "kindly", "i'd like you to", "please can you", "would you please", "quickly",
    "i'd like to", "i want to", "i would like to", "can we", "could we", "can i", "help me", "you can", "why don't you",
    "would you be able to", "are you able to", "is it possible to", "time to", "we need to", "i have to", "i need to",
    "do me a favour and", "be a dear and", "would you be so kind as to", "can you quickly", "now please", "wanna",
)  # fmt: skip
# What makes a wish of ours into something else: a question about another machine, hearsay, a general question.
_FLIPS = (
    "how do i {} on my phone", "how do i {} on an iphone", "how can i {} in windows", "how do you {} on a mac",
    "why would anybody {}", "why do people always want to {}", "my sister asked siri to {} and it failed",
    "alexa used to {} for me", "he told me to {} but i did not", "i never {} myself", "what happens if i {} twice",
    "should i learn to {} by myself", "is it rude to {} at dinner", "my old assistant could not {}",
    "who would {} at night",
    "she said she would {} yesterday", "i asked my husband to {} an hour ago", "do not {}",
    "don't {} under any circumstances",
    "i told you not to {}", "do most people {}", "when i was young nobody would {}",
    "write a story about a man who wants to {}",
    "write a poem in which robots {}", "how did people {} in the middle ages", "translate {} into french",
    "in the film they {} and then everything explodes", "is it legal to {} in germany", "what does it cost to {}",
    "can a dog learn to {}", "how often should one {}", "i think it is silly to {}", "what app can {} best",
    "how do you say {} in spanish",
)  # fmt: skip
_CORRECTIONS = (
    "no",
    "no wait",
    "sorry",
    "i mean",
    "no i mean",
    "or rather",
    "no make that",
    "wait no",
    "sorry i meant",
    "actually",
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said, what it wants, and where its arguments stand (characters from, to; the argument's name)."""

    text: str
    label: str
    spans: tuple[tuple[int, int, str], ...] = ()
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class _Family:
    label: str
    patterns: tuple[Pattern, ...]
    weight: float
    old: bool = False


@cache
def _sections(name: str) -> dict[str, tuple[Pattern, ...]]:
    text = resources.files("starter_model.reflex").joinpath("phrases", name).read_text(encoding="utf-8")
    found: dict[str, list[Pattern]] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("@ "):
            current = line[2:].strip()
            found.setdefault(current, [])
        elif line and not line.startswith("#"):
            found[current].append(parse_pattern(line, held_out=_is_held_out(line)))
    return {name: tuple(patterns) for name, patterns in found.items()}


def _is_held_out(line: str) -> bool:
    return zlib.crc32(line.encode()) % HELD_OUT_SHARE == 0


def _families() -> list[_Family]:
    found = []
    for file in TOOL_FILES:
        for section, patterns in _sections(file).items():
            found.append(_Family(section.split()[0], patterns, 1.0 + 0.04 * len(patterns)))
    for section, old in load_sections("tools.txt").items():
        kept = [p for p in old.patterns if section != "clock.now" or not _NOW_A_TOOL.search(p.source)]
        patterns = tuple(parse_pattern(_source(p), held_out=_is_held_out(p.source)) for p in kept)
        found.append(_Family(section.split()[0], patterns, _OLD_SECTION + 0.01 * len(patterns), old=True))
    for section, patterns in _sections("cannot.txt").items():
        found.append(_Family(f"cannot {section}", patterns, _CANNOT))
    nothing = _sections("nothing.txt")
    found.append(_Family(MIND, nothing["mind"], _MIND))
    found.append(_Family(TALK, nothing["talk"], _TALK))
    for section, old in load_sections("talk.txt").items():
        if section in _LEFT_OUT_OF_TALK:
            continue
        patterns = tuple(parse_pattern(_source(p), held_out=_is_held_out(p.source)) for p in old.patterns)
        found.append(_Family(_SECTIONS_OF_TALK.get(section, TALK), patterns, 0.8, old=True))
    for section, old in load_sections("experts.txt").items():
        sums = section == "math"
        kept = [p for p in old.patterns if not (sums and "<n>" in p.source and _NOW_A_TOOL.search(p.source))]
        patterns = tuple(parse_pattern(_source(p), held_out=_is_held_out(p.source)) for p in kept)
        label = "expert named" if section == "named" else f"expert {section}"
        found.append(_Family(label, patterns, _EXPERT, old=True))
    return found


def _source(pattern: Pattern) -> str:
    return f"! {pattern.source}" if pattern.imperative else pattern.source


class Wordings:
    """Draws wordings.

    Args:
        seed: the same one draws the same.
        vocabulary: English words for whatever a person may name.
        held_out: of the patterns that training never sees, or of the others.
    """

    def __init__(self, seed: int, vocabulary: Sequence[str], *, held_out: bool) -> None:
        self._rng = random.Random(seed)
        self._held_out = held_out
        self._slots = Slots(self._rng, vocabulary)
        self._old = Values(self._rng, False)
        self._families = [
            _Family(f.label, kept, f.weight, f.old)
            for f in _families()
            if (kept := tuple(p for p in f.patterns if p.held_out == held_out))
        ]
        self._weights = [family.weight for family in self._families]
        self._flipped = [
            pattern
            for file in TOOL_FILES
            for section, patterns in _sections(file).items()
            if not section.startswith(("calculator", "units", "what_can"))
            for pattern in patterns
            if pattern.imperative and pattern.held_out == held_out
        ]

    def draw(self, count: int) -> Iterator[Wording]:
        """So many wordings."""
        total = sum(self._weights)
        for _ in range(count):
            if self._rng.random() < _FLIPPED / (total + _FLIPPED):
                yield self._flip()
                continue
            family = self._rng.choices(self._families, self._weights)[0]
            yield self.word(family.label, self._rng.choice(family.patterns), old=family.old)

    def labels(self) -> list[str]:
        """All labels that can be drawn."""
        return sorted({family.label for family in self._families})

    def word(self, label: str, pattern: Pattern, *, old: bool) -> Wording:
        """One wording of a pattern."""
        rng = self._rng
        parts = [self._fill(part, label, old=old) for part in pattern.expand(rng)]
        gentle = label in (MIND, TALK) or label.startswith("expert")
        if pattern.imperative and rng.random() < (0.25 if gentle else 0.45):
            parts.insert(0, (f"{rng.choice(_WRAPPERS)} ", ""))
        if rng.random() < (0.1 if gentle else 0.22):
            parts.insert(0, (f"{rng.choice(_BEFORE)}{rng.choice((' ', ' ', ', '))}", ""))
        parts = self._correct(parts)
        free = parts[-1][1] in ("text", "code", "query", "item", "what", "command")
        if not free and rng.random() < (0.06 if gentle else 0.18):
            parts.append((f"{rng.choice((' ', ' ', ', '))}{rng.choice(_AFTER)}", ""))
        return self._render(self._ramble(parts), label)

    def _correct(self, parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Somebody says another amount first: "five no six minutes". Only the second is meant."""
        rng, found = self._rng, []
        for said, argument in parts:
            if argument in ("duration", "when", "quantity", "list", "item", "timezone") and rng.random() < 0.03:
                wrong = {"duration": self._slots.amounts.duration, "when": self._slots.amounts.clock}.get(argument)
                first = wrong() if wrong else self._slots.draw({"timezone": "city"}.get(argument, argument))
                found.append((f"{first} {rng.choice(_CORRECTIONS)} ", ""))
            found.append((said, argument))
        return found

    def _ramble(self, parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """What is said around a wish, in front of it, behind it and between its parts."""
        rng = self._rng
        between = rng.choice((", ", ". ", " - ", ", ", " "))
        if rng.random() < 0.26:
            parts.insert(0, (self._aside("before") + between, ""))
        if rng.random() < 0.17:
            parts.append((between + self._aside("after"), ""))
        if len(parts) > 1 and rng.random() < 0.12:
            at = rng.randrange(1, len(parts))
            parts.insert(at, (f" {self._aside('middle')} ", ""))
        return parts

    def _aside(self, place: str) -> str:
        pattern = self._rng.choice(_sections("asides.txt")[place])
        return "".join(self._fill(part, "", old=False)[0] for part in pattern.expand(self._rng))

    def _flip(self) -> Wording:
        pattern = self._rng.choice(self._flipped)
        said = "".join(self._fill(part, "", old=False)[0] for part in pattern.expand(self._rng))
        return self._render([(self._rng.choice(_FLIPS).format(said), "")], MIND)

    def _fill(self, part: Part, label: str, *, old: bool) -> tuple[str, str]:
        if not isinstance(part, Slot):
            return part, ""
        argument, equals, kind = part.name.partition("=")
        if equals:
            return self._slots.draw(kind), argument
        if not old:
            return self._slots.draw(part.name), ""
        kind = part.name
        if kind == "text":
            kind = "statement" if label == "memory.remember" else "typed"
        argument = part.name if part.name in TOOLS.get(label, ()) or part.name == "expert" else ""
        if argument and kind in ("host", "command", "url", "playbook", "service", "limit", "tags", "username"):
            kind = f"spoken_{kind}" if self._rng.random() < 0.3 else kind
        if kind == "seconds":
            return self._slots.amounts.duration(), argument
        return (self._old.draw(kind).text if argument else self._old.loose(kind)), argument

    def _render(self, parts: Sequence[tuple[str, str]], label: str) -> Wording:
        """Write it down as this person would, and note where the arguments stand."""
        rng = self._rng
        as_speech = rng.random() < 0.5
        slips = not as_speech and rng.random() < 0.08
        text, spans = "", []
        for said, argument in parts:
            exact = argument in ("code", "command", "url", "playbook", "text") and not as_speech
            if as_speech:
                said = _as_heard(
                    said, keep=argument in ("code", "command", "url", "expression", "quantity", "when", "duration")
                )
            elif slips and not exact and not argument and rng.random() < 0.5:
                said = _slip(said, rng)
            if text[-1:].isspace():
                said = said.lstrip() if not argument else said
            start = len(text)
            text += said
            if argument and said.strip():
                lead = len(said) - len(said.lstrip())
                spans.append((start + lead, start + len(said.rstrip()), argument))
        shift = len(text) - len(text.lstrip())
        text = text.strip()
        spans = [(a - shift, b - shift, name) for a, b, name in spans]
        starts_free = bool(spans) and spans[0][0] == 0
        if not as_speech and rng.random() < 0.6 and not starts_free:
            text = text[:1].upper() + text[1:]
        if not as_speech and rng.random() < 0.6 and text[-1:].isalnum():
            asked = re.match(
                r"(?i)(what|who|when|where|why|how|is|are|do|does|can|could|would|will|which|did|have|am)\b", text
            )
            text += "?" if asked and rng.random() < 0.85 else rng.choice((".", ".", ".", "!"))
        return Wording(text, label, tuple(spans), self._held_out)


def _as_heard(text: str, *, keep: bool) -> str:
    """As a recognizer writes it: small letters, no punctuation; ``keep``: signs that belong to an amount stay."""
    low = text.lower()
    return low if keep else re.sub(r"[,;!?\"]|\.(?=\s|$)", "", low)


def _slip(text: str, rng: random.Random) -> str:
    """One slip of the finger in a longer word."""
    places = list(re.finditer(r"[a-z]{4,}", text))
    if not places:
        return text
    word = rng.choice(places)
    at = rng.randrange(word.start(), word.end() - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + (text[at] * 2 if kind == 1 else "") + text[at + 1 :]


def arguments_of(wording: Wording) -> Mapping[str, str]:
    """The arguments as their tool would get them: spans of one name are joined by a blank."""
    found: dict[str, str] = {}
    for start, end, name in wording.spans:
        piece = wording.text[start:end]
        found[name] = f"{found[name]} {piece}" if name in found else piece
    return found


__all__ = ["CANNOT", "MIND", "TALK", "Wording", "Wordings", "arguments_of", "spoken"]
