"""The reflex's figures over labelled requests: what it decides, what of that is right, where it acts wrongly."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipecatapp.reflex.checks import missing
from pipecatapp.reflex.judges import Judgement, Judges
from pipecatapp.reflex.reflex import THRESHOLD, is_tool
from starter_model.reflex.comparing import same_arguments

ROUTE = "route_to_expert"
CURVE = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)


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
    share("acted_tool_right", [a.case.tool == a.judgement.label for a in acted])
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
