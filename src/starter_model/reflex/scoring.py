"""The reflex's figures over labelled requests: what it decides, what of that is right, where it acts wrongly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipecatapp.reflex.checks import missing
from pipecatapp.reflex.durations import seconds_of
from pipecatapp.reflex.judges import Judgement, Judges
from pipecatapp.reflex.reflex import THRESHOLD, is_tool
from starter_model.scoring import normalized

ROUTE = "route_to_expert"
CURVE = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
_LEADS = re.compile(r"^(?:at|for|on|by|to|of|about|in my|in the|that|the|a|an|my|our|your|is|some) ")
_TRAILS = re.compile(r" (?:list|timer|alarm|reminder|playbook|please|expert|longer)$")
_UP = ("up", "loud", "raise", "increase", "high", "boost", "more", "bump")
_DOWN = ("down", "quiet", "soft", "lower", "low", "decrease", "reduce", "less", "off", "short", "cut", "take", "minus")


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what is wanted: a tool with arguments, an expert, the mind, or none of them."""

    text: str
    tool: str | None
    arguments: Mapping[str, Any]
    mind: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A case with what the reflex makes of it."""

    case: Case
    judgement: Judgement
    milliseconds: float

    @property
    def right(self) -> bool:
        """Tool and all arguments."""
        return self.case.tool == self.judgement.label and same_arguments(
            self.judgement.label, self.case.arguments, self.judgement.arguments
        )

    @property
    def acts(self) -> float:
        """The confidence with which a tool would be acted on; -1: none would."""
        tool = self.judgement.label
        return self.judgement.confidence if is_tool(tool) and not missing(tool, self.judgement.arguments) else -1.0


def read_cases(path: Path) -> list[Case]:
    """Cases from JSON Lines of ``{"text", "tool", "args", "mind"}``."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Case(row["text"], row.get("tool"), row.get("args") or {}, bool(row.get("mind")), row.get("kind", ""))
        for row in rows
    ]


def answers(judges: Judges, cases: Sequence[Case]) -> list[Answer]:
    """Each case judged."""
    found = []
    for case in cases:
        began = time.perf_counter()
        judgement = judges.judge(case.text)
        found.append(Answer(case, judgement, (time.perf_counter() - began) * 1000))
    return found


def same_arguments(tool: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    """Whether the tool would understand the same: small words in front and the noun it is about do not count."""
    return {k: _plain(tool, k, v) for k, v in wanted.items()} == {k: _plain(tool, k, v) for k, v in got.items()}


def _plain(tool: str, name: str, value: Any) -> str:
    if isinstance(value, int):
        value = f"{value} seconds" if name == "seconds" else value
    text = normalized(name, value)
    if name == "seconds":
        return _seconds(text)
    if name in ("command", "code", "url", "host", "playbook", "text"):
        return text
    text = text.replace(",", "")
    while (shorter := _LEADS.sub("", text)) != text:
        text = shorter
    text = _TRAILS.sub("", text)
    if name == "change":
        return _direction(tool, text)
    return text


def _direction(tool: str, text: str) -> str:
    """A change as its direction and its amount."""
    words = re.findall(r"[a-z]+|\d+", text)
    down = any(word.startswith(_DOWN) for word in words)
    up = any(word.startswith(_UP) for word in words)
    amount = [
        w for w in words
        if not w.startswith((*_UP, *_DOWN)) and w not in ("add", "another", "extra", "a", "bit", "little", "lot",
        "much", "the",
           "volume", "by", "to", "extend", "it", "timer", "give", "notch", "extend", "prolong", "lengthen", "percent",
           "way", "some")
    ]  # fmt: skip
    sign = "down" if down else ("up" if up or tool == "timer.change" else "")
    return " ".join([sign, *amount])


def _seconds(text: str) -> str:
    return str(seconds_of(text) or text)


def figures(found: Sequence[Answer], threshold: float = THRESHOLD) -> dict[str, float | int]:
    """The keys of ``scripts/bench starter``; those for which there is no case are left out."""
    tools = [a for a in found if a.case.tool not in (None, ROUTE)]
    none = [a for a in found if a.case.tool in (None, ROUTE)]
    acted = [a for a in found if a.acts >= threshold]
    experts = [a for a in found if a.case.tool == ROUTE]
    minds = [a for a in none if a.case.mind]
    talk = [a for a in none if a.case.kind == "talk"]
    cannot = [a for a in none if a.case.kind == "cannot"]
    result: dict[str, float | int] = {"cases": len(found)}

    def share(key: str, part: Sequence[bool]) -> None:
        if part:
            result[key] = round(sum(part) / len(part), 4)

    share("tool_exact", [a.right for a in tools])
    share("tool_named", [a.case.tool == a.judgement.label for a in tools])
    share("acted_right", [a.right for a in acted])
    share("acted_share", [a.acts >= threshold for a in tools])
    share("false_actions", [a.acts >= threshold for a in none])
    share("mind_handed_over", [a.judgement.label.startswith(("mind", "expert")) for a in minds])
    share("routing", [a.judgement.label == f"expert {a.case.arguments.get('expert')}" for a in experts])
    share("smalltalk_no_tool", [a.acts < threshold for a in talk])
    share("cannot_said", [a.judgement.label.startswith("cannot") for a in cannot])
    spent = sorted(a.milliseconds for a in found)
    result["decide_ms_p95"] = round(spent[int(len(spent) * 0.95)], 2)
    return result


def curve(found: Sequence[Answer]) -> list[tuple[float, float, float, float]]:
    """For each threshold: the share of tool requests decided, of those acted on the wrong ones, and false actions."""
    rows = []
    for threshold in CURVE:
        values = figures(found, threshold)
        rows.append(
            (
                threshold,
                float(values.get("acted_share", 0)),
                1 - float(values.get("acted_right", 1)),
                float(values.get("false_actions", 0)),
            )
        )
    return rows
