"""Whether an argument can be what its tool expects: a duration names a span of time, a sum has figures."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipecatapp.reflex.tokens import NUMBERS

_SPAN = re.compile(
    r"\b(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|fortnight|moment|while|bit|h|m|s)\b"
    r"|\d(?:h|m|s|min|sec|hrs?)\b|\d:\d\d",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\b(?:today|tonight|tomorrow\w*|yesterday|morning|afternoon|evening|night|noon|midday|midnight|lunch\w*|dinner|supper|bed\w*"
    r"|breakfast|weekends?|weekdays?|weekly|daily|monthly|yearly|hourly|week|month|year|fortnight|o'clock|later|sunset|sunrise"
    r"|work|school|christmas|easter|birthday|half|quarter|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?\w*(?:'s)?|mon|tue|wed|thu|fri|sat|sun|january|february|march|april|may|june|july|august"
    r"|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    r"|(?:twenty |thirty )?\w*(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"\d")
_SUM = re.compile(
    r"[-+*/x\u00d7\u00f7^%]|\b(?:plus|minus|times|divided?|multipl\w+|over|percent|per cent|root|"
    r"squared|cubed|power|half|third|quarter|thirds"
    r"|quarters|tenth|fifth|sum|product|difference|average|double|twice|triple|factorial|add|subtract|less|and|of|tip|split|mod|sqrt)\b",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\w[.:]\w|\bdot\b|localhost|^[\w' -]{2,40}$", re.IGNORECASE)
# What a tool cannot do without; who leaves it out is asked for it.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "timer.set": ("duration",), "timer.change": ("change",), "alarm.set": ("when",), "reminder.set": ("what", "when"),
    "reminder.cancel": ("what",), "list.add": ("list", "item"), "list.read": ("list",), "list.remove": ("list", "item"),
    "calculator.evaluate": ("expression",), "units.convert": ("quantity", "unit"), "audio.volume": ("change",),
    "calendar.ask": ("question",), "memory.remember": ("text",), "memory.recall": ("query",),
    "memory.forget": ("query",),
    "ssh.run_command": ("host", "command"), "code_runner.run_python_code": ("code",),
    "ansible.run_playbook": ("playbook",),
    "web_browser.goto": ("url",), "power.set_idle_threshold": ("service", "seconds"), "web_browser.click": ("target",),
    "web_browser.type": ("target", "text"),
}  # fmt: skip


def _has_number(text: str) -> bool:
    return bool(_FIGURE.search(text)) or any(word in NUMBERS for word in re.split(r"[\s-]+", text.lower()))


def _is_duration(text: str) -> bool:
    return bool(_SPAN.search(text)) or _has_number(text)


def _is_when(text: str) -> bool:
    return bool(_WHEN.search(text)) or bool(_SPAN.search(text)) or _has_number(text)


def _is_sum(text: str) -> bool:
    return bool(_SUM.search(text)) and (_has_number(text) or "dozen" in text)


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.search(text))


def _is_quantity(text: str) -> bool:
    return _has_number(text) or bool(re.match(r"(?:an?|the|one) \w", text, re.IGNORECASE))


_CHECKS = {
    ("timer.set", "duration"): _is_duration,
    ("timer.change", "change"): _is_duration,
    ("alarm.set", "when"): _is_when,
    ("alarm.cancel", "when"): _is_when,
    ("reminder.set", "when"): _is_when,
    ("power.set_idle_threshold", "seconds"): _is_duration,
    ("calculator.evaluate", "expression"): _is_sum,
    ("units.convert", "quantity"): _is_quantity,
    ("web_browser.goto", "url"): _is_address,
}


def missing(tool: str, arguments: Mapping[str, str]) -> list[str]:
    """What the tool cannot do without and the request does not say."""
    return [name for name in REQUIRED.get(tool, ()) if not arguments.get(name, "").strip()]


def is_fit(tool: str, argument: str, text: str) -> bool:
    """Whether this can be that argument."""
    check = _CHECKS.get((tool, argument))
    return bool(text.strip()) and (check is None or check(text))


def fits(tool: str, arguments: Mapping[str, str]) -> bool:
    """Whether all that the tool needs is there, and every argument can be one."""
    return not missing(tool, arguments) and all(is_fit(tool, name, text) for name, text in arguments.items())


__all__ = ["REQUIRED", "fits", "is_fit", "missing"]
