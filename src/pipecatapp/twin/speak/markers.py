"""The signs with which models frame what is not words: calls, thoughts, channels, the ends of messages.

Those of Qwen and Hermes (ours), Llama, Mistral, LFM2, Granite, Phi, DeepSeek, Kimi, Seed, Command and Gemma, and the
channels of harmony (gpt-oss).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from pipecatapp.twin.speak.protocol import TOOL_CALL_CLOSE, TOOL_CALL_OPEN


class Kind(Enum):
    """What a marker says of the text behind it."""

    CALL = auto()  # it is a call, up to the closing marker
    THOUGHT = auto()
    THOUGHT_END = auto()  # what stood before it was a thought
    HEADER = auto()  # a channel of harmony
    END = auto()  # nothing behind it is the model's to say
    STRAY = auto()  # nothing


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker where it stands. ``close`` ends what it opens; empty: the end of the message. ``held`` says that it is
    a part of what it opens."""

    kind: Kind
    text: str
    close: tuple[str, ...] = ()
    held: bool = False


_DEEPSEEK_OPEN, _DEEPSEEK_CLOSE = "<\uff5ctool\u2581calls\u2581begin\uff5c>", "<\uff5ctool\u2581calls\u2581end\uff5c>"
_NAMES = ("think", "thinking", "thought", "reasoning", "reflection")
_THOUGHTS = (*(written for name in _NAMES for written in (name, name.capitalize(), name.upper())), "seed:think")
# Each model closes what it opened in its own way, or in another model's.
_OTHER_THOUGHTS = {
    "[THINK]": "[/THINK]",
    "\u25c1think\u25b7": "\u25c1/think\u25b7",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|channel>thought": "<channel|>",
    "<unused94>": "<unused95>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|think|>": "<|/think|>",
}
_THOUGHT_CLOSERS = (*(f"</{name}>" for name in _THOUGHTS), *_OTHER_THOUGHTS.values())
# In harmony a thought ends where the next message or its end stands; these are read again.
HARMONY_ENDS = ("<|end|>", "<|start|>", "<|channel|>", "<|return|>")
HARMONY_CALL_ENDS = ("<|call|>", *HARMONY_ENDS)

MARKERS = {
    marker.text: marker
    for marker in (
        Marker(Kind.CALL, TOOL_CALL_OPEN, (TOOL_CALL_CLOSE,)),
        Marker(Kind.CALL, "<function=", ("</function>",), held=True),
        Marker(Kind.CALL, "<|tool_call_start|>", ("<|tool_call_end|>",)),
        Marker(Kind.CALL, "<|tool_call|>", ("<|/tool_call|>",)),
        Marker(Kind.CALL, "<|python_tag|>", ("<|eom_id|>", "<|eot_id|>")),
        Marker(Kind.CALL, "[TOOL_CALLS]"),
        Marker(Kind.CALL, _DEEPSEEK_OPEN, (_DEEPSEEK_CLOSE,)),
        *(Marker(Kind.THOUGHT, f"<{name}>", _THOUGHT_CLOSERS) for name in _THOUGHTS),
        *(Marker(Kind.THOUGHT, text, _THOUGHT_CLOSERS) for text in _OTHER_THOUGHTS),
        *(Marker(Kind.THOUGHT_END, text) for text in _THOUGHT_CLOSERS),
        Marker(Kind.HEADER, "<|start|>"),
        Marker(Kind.HEADER, "<|channel|>"),
        *(
            Marker(Kind.END, text)
            for text in ("<tool_response>", "<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "[TOOL_RESULTS]")
        ),
        *(
            Marker(Kind.STRAY, text)
            for text in (TOOL_CALL_CLOSE, "</tool_response>", "[/TOOL_CALLS]", _DEEPSEEK_CLOSE, "<end_of_turn>", "</s>")
        ),
    )
}
# What ends a message in which something was said. In front of the first word it is nothing.
MESSAGE_ENDS = frozenset(
    {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>", "</s>"}
)  # fmt: skip
LONGEST = 48
_MARKER = re.compile("|".join(re.escape(text) for text in sorted(MARKERS, key=len, reverse=True)))
# Control tokens of chat templates: <|im_end|> and its kind, DeepSeek's with full-width bars.
_CONTROL = re.compile(r"<\|/?[A-Za-z][A-Za-z0-9_]{0,40}\|>|<\uff5c[A-Za-z\u2581]{1,40}\uff5c>")
_PERHAPS_CONTROL = re.compile(r"<(?:\|(?:/?(?:[A-Za-z][A-Za-z0-9_]{0,40}\|?)?)?|\uff5c[A-Za-z\u2581]{0,40}\uff5c?)?")
# The channel, the recipient and the type, up to the message itself.
HEADER = re.compile(r"<\|(?:start|channel)\|>((?:[^<]|<\|(?:channel|constrain)\|>){0,200}?)<\|message\|>")
LONGEST_HEADER = 400
RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.-]+)")
# <think type="deep">, and how it begins.
_NAME = rf"<(?:{'|'.join(_NAMES)})"
_QUOTED = r"\"[^\"<>]{0,60}\"|'[^'<>]{0,60}'|[\w.-]{1,60}"
_ATTRIBUTE = rf"(?:\s{{1,9}}[\w:-]{{1,30}}\s?=\s?(?:{_QUOTED}))"
_WITH_ATTRIBUTES = re.compile(rf"{_NAME}{_ATTRIBUTE}{{1,4}}\s{{0,9}}>", re.IGNORECASE)
_PERHAPS_ATTRIBUTES = re.compile(
    rf"{_NAME}{_ATTRIBUTE}{{0,4}}"
    r"\s{0,9}(?:[\w:-]{1,30}(?:\s?=\s?(?:\"[^\"<>]{0,60}|'[^'<>]{0,60})?)?)?",
    re.IGNORECASE,
)


def find_marker(text: str, at: int) -> Marker | None:
    """The marker that begins here, control tokens included."""
    if (found := _MARKER.match(text, at)) is not None:
        return MARKERS[found[0]]
    if (found := _CONTROL.match(text, at)) is not None:
        return Marker(Kind.STRAY, found[0])
    if (found := _WITH_ATTRIBUTES.match(text, at)) is not None:
        return Marker(Kind.THOUGHT, found[0], _THOUGHT_CLOSERS)
    return None


def may_become_marker(text: str, at: int) -> bool:
    """Whether the end of the text, from here on, is the beginning of a marker."""
    if len(text) - at > LONGEST:
        return _PERHAPS_ATTRIBUTES.fullmatch(text, at) is not None
    rest = text[at:]
    if any(marker.startswith(rest) for marker in MARKERS) or _PERHAPS_CONTROL.fullmatch(rest) is not None:
        return True
    return _PERHAPS_ATTRIBUTES.fullmatch(rest) is not None
