"""A page as it was read: what is said of it, what the model sees, what the event log keeps."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipecatapp.tools.web_browser.errors import host_of

_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})  # controls, zero width, direction, tags, private use
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
_ROLES = {"list": "list to choose from", "file": "field for a file"}
_TEXT = 1000  # characters of the text that the model sees
_ITEMS = 15  # links and fields that the model sees
_SAID = 300  # characters that are said when a page opens


@dataclass(frozen=True, slots=True)
class Element:
    """Something on a page to click or to type into. ``label`` and all else come from the page: data."""

    origin: str
    tag: str
    type: str
    role: str
    label: str
    href: str
    action: str
    secret: bool
    disabled: bool
    checked: bool
    options: tuple[str, ...]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Element:
        """From what page_snapshot.js returns."""
        return cls(
            origin=str(raw["origin"]),
            tag=str(raw["tag"]),
            type=str(raw["type"]),
            role=str(raw["role"]),
            label=clean(str(raw["label"])),
            href=str(raw["href"]),
            action=str(raw["action"]),
            secret=bool(raw["secret"]),
            disabled=bool(raw["disabled"]),
            checked=bool(raw["checked"]),
            options=tuple(clean(str(option)) for option in raw["options"]),
        )

    @property
    def name(self) -> str:
        """Its label for a sentence, or what it is where it has none."""
        if self.label:
            return f"'{clipped(self.label, 60)}'"
        return f"the {_ROLES.get(self.role, self.role)} without a name"


@dataclass(frozen=True, slots=True)
class Reading:
    """A page: the text that can be seen, the main part first, and what can be used, the main part first."""

    title: str
    url: str
    text: str
    elements: Sequence[Element]
    cut_off: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Reading:
        """From what page_snapshot.js returns."""
        parts = (clean(str(raw[part])) for part in ("main", "text", "aside"))
        return cls(
            title=clean(str(raw["title"])),
            url=str(raw["url"]),
            text="\n".join(part for part in parts if part),
            elements=tuple(Element.read(item) for item in raw["items"]),
            cut_off=bool(raw["cutOff"]),
        )

    @property
    def name(self) -> str:
        """The title, or the host where it has none."""
        return clipped(self.title, 120) or host_of(self.url) or "an empty page"

    def opening(self) -> str:
        """The first sentences, short enough to be spoken."""
        said = ""
        for sentence in _SENTENCE_END.split(self.text):
            part = sentence.strip()
            if not part or part.rstrip(".") == self.title.rstrip("."):
                continue
            if len(said) + len(part) > _SAID:
                break
            said = f"{said} {part if part[-1] in '.!?:' else f'{part}.'}".strip()
        return said or clipped(self.text, _SAID)

    def short(self) -> str:
        """What the model sees: the beginning of the text, the first links and fields with their numbers."""
        lines = [f"The page {self.name} says:", clipped(self.text, _TEXT) or "It has no text that can be read."]
        lines += _numbered(self.elements[:_ITEMS])
        if len(self.elements) > _ITEMS:
            lines.append(f"And {len(self.elements) - _ITEMS} more.")
        return "\n".join(lines)

    def full(self) -> str:
        """Everything that was read, for the event log."""
        lines = [f"{self.title}\n{self.url}", "What follows was written by the author of the page.", "", self.text]
        lines += ["", *_numbered(self.elements)]
        if self.cut_off:
            lines.append("The page goes on; it is too large to be read as a whole.")
        return "\n".join(lines)


def clean(text: str) -> str:
    """Text without characters that nobody can see; lines kept, blank ones dropped."""
    seen = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)
    return _LINES.sub("\n", _BLANKS.sub(" ", seen)).strip()


def clipped(text: str, most: int) -> str:
    """The beginning of a text, ending with a whole word."""
    if len(text) <= most:
        return text
    return f"{text[:most].rsplit(None, 1)[0]} ..."


def _numbered(elements: Sequence[Element]) -> list[str]:
    return [f"[{number}] {_told(element)}" for number, element in enumerate(elements, 1)]


def _told(element: Element) -> str:
    label = clipped(element.label, 60) or "without a name"
    if element.role == "link":
        return label
    kind = "password field" if element.secret else _ROLES.get(element.role, element.role)
    state = "".join((", chosen" if element.checked else "", ", off" if element.disabled else ""))
    return f"{label} ({kind}{state})"
