"""One request at a time: what a person says, and what the starter model should do then."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starter_model.patterns import Part, Section, Slot, load_sections
from starter_model.speech import spoken
from starter_model.values import Values, is_held_out

EXPERTS = ("coding", "creative", "general", "math")

# The arguments of each tool, in the order of its schema; those in brackets are optional.
TOOLS: Mapping[str, tuple[str, ...]] = {
    "ansible.run_playbook": ("playbook", "limit", "tags"),
    "clock.now": ("timezone",),
    "code_runner.run_python_code": ("code",),
    "mcp.clear_short_term_memory": (),
    "mcp.get_memory_summary": (),
    "mcp.get_status": (),
    "memory.forget": ("query",),
    "memory.recall": ("query",),
    "memory.remember": ("text",),
    "power.set_idle_threshold": ("service", "seconds"),
    "route_to_expert": ("expert", "query"),
    "ssh.run_command": ("host", "command", "username"),
    "summarizer.get_summary": ("query",),
    "vision.get_observation": (),
    "web_browser.click": ("target",),
    "web_browser.get_page_content": (),
    "web_browser.get_screenshot": (),
    "web_browser.goto": ("url",),
    "web_browser.type": ("target", "text"),
}

OPTIONAL = frozenset({"limit", "tags", "timezone", "username"})

# What it says of a tool that it does not have now.
CANNOT = {
    "ansible": "I cannot run playbooks here yet.",
    "clock": "I have no clock here yet.",
    "code_runner": "I cannot run code here yet.",
    "mcp.clear": "I cannot clear my memory here yet.",
    "mcp.get_memory": "I cannot look into my memory here yet.",
    "mcp.get_status": "I cannot check my status here yet.",
    "memory.forget": "I cannot delete notes here yet.",
    "memory.recall": "I cannot search my notes here yet.",
    "memory.remember": "I cannot keep notes here yet.",
    "power": "I cannot change power settings here yet.",
    "ssh": "I cannot run commands on other machines here yet.",
    "summarizer": "I cannot summarize our talks here yet.",
    "vision": "I cannot see here yet.",
    "web_browser": "I cannot use a web browser here yet.",
}
NO_FACT = "I do not know that yet."
NOTHING_SAID = "I have not said anything yet."

# How often each kind of tool request comes; the rest of the sections have weight 1.
_SECTION_WEIGHTS = {
    "ssh.run_command": 3.0, "ssh.run_command username": 0.8, "code_runner.run_python_code": 1.6,
    "web_browser.goto": 1.8, "power.set_idle_threshold": 2.2, "summarizer.get_summary": 1.5, "memory.remember": 1.8,
    "memory.recall": 1.1, "memory.forget": 1.1, "ansible.run_playbook tags": 0.6,
    "ansible.run_playbook limit tags": 0.5, "clock.now timezone": 1.2, "web_browser.get_page_content": 0.9,
    "mcp.get_status": 1.3, "mcp.get_memory_summary": 1.1, "mcp.clear_short_term_memory": 1.1,
    "vision.get_observation": 1.3,
}  # fmt: skip
_TALK_WEIGHTS = {
    "who": 2.0, "model": 2.0, "bigger": 2.0, "abilities": 2.5, "chatter": 1.5, "media": 1.5, "ok": 1.5, "hello": 1.5,
}  # fmt: skip
_SPOKEN_KINDS = frozenset(
    {"host", "command", "code", "url", "playbook", "limit", "tags", "service", "typed", "username"}
)

_BEFORE = (
    "", "", "", "", "", "", "", "", "please ", "hey ", "ok ", "hi ", "hello ", "so ", "now ", "well ", "computer ",
    "hey computer ", "assistant ", "um ", "uh ", "er ", "okay ", "alright ", "listen ", "quick question ",
    "one more thing ", "good morning ", "sorry ", "excuse me ", "thanks ", "and ", "next ", "then ", "yes ", "right ",
    "hm ", "oh ", "by the way ", "hello there ", "good evening ", "my friend ", "if you can ",
    "when you have a moment ", "before i forget ", "dear assistant ", "no wait ", "also ", "yo ", "hmm ", "first ",
)  # fmt: skip
_AFTER = (
    "", "", "", "", "", "", "", "", "", " please", " for me", " now", " thanks", " thank you", " right now", " ok",
    " would you", " if you can", " quickly", " again", " will you", " computer", " could you", " my friend",
    " when you can", " if possible", " real quick", " today", " mate", " then", " at once", " asap", " pls",
    " be so kind", " can you",
)  # fmt: skip
_WRAPPERS = (
    "", "", "", "", "", "", "", "can you ", "could you ", "would you ", "please ", "will you ", "i want you to ",
    "i need you to ", "can you please ", "could you please ", "go ahead and ", "would you mind and ",
    "i would like you to ", "try to ", "you should ", "let's ", "just ", "may i ask you to ", "do me a favor and ",
    "be so kind and ", "kindly ", "i'd like you to ", "please can you ", "you must ", "maybe you can ",
    "i am asking you to ", "it would be nice if you ", "is it possible to ", "are you able to ", "time to ",
    "we need to ", "i have to ", "would it be possible to ", "quickly ", "now ", "help me ", "you can ",
    "why don't you ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What a person says, and the right reaction of a model that has every tool and every expert."""

    text: str
    intent: str
    tool: str | None = None
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    answer: str = ""
    facts: tuple[str, ...] = ()
    pattern: str = ""  # what it was made from


class Requests:
    """Draws requests of one split."""

    def __init__(self, rng: random.Random, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out
        self.values = Values(rng, held_out)
        self._tools = self._of_split(load_sections("tools.txt"))
        self._experts = self._of_split(load_sections("experts.txt"))
        self._facts = list(load_sections("facts.txt").values())
        self._talk = load_sections("talk.txt")

    def _of_split(self, sections: Mapping[str, Section]) -> list[Section]:
        return [section for section in sections.values() if section.has(self._held_out)]

    def tool(self) -> Request:
        """A request that a tool answers."""
        weights = [_SECTION_WEIGHTS.get(section.name, 1.0) for section in self._tools]
        section = self._rng.choices(self._tools, weights)[0]
        tool, *_ = section.name.split()
        pattern = section.choose(self._rng, self._held_out)
        speech = self._rng.random() < 0.42
        parts = pattern.expand(self._rng)
        parts = self._wrap(parts, pattern.imperative)
        text, found = self._write(parts, tool, speech)
        arguments = {name: found[name] for name in TOOLS[tool] if name in found}
        return Request(text, section.name, tool, arguments, pattern=pattern.source)

    def expert(self) -> Request:
        """A request for an expert; the query is the whole request."""
        section = self._rng.choices(self._experts, [0.5 if s.name == "named" else 1.0 for s in self._experts])[0]
        pattern = section.choose(self._rng, self._held_out)
        parts = self._wrap(pattern.expand(self._rng), pattern.imperative, gentle=True)
        text, found = self._write(parts, "route_to_expert", self._rng.random() < 0.5)
        expert = str(found.get("expert", section.name)).lower()
        arguments: dict[str, str | int] = {"expert": expert, "query": text}
        return Request(text, f"expert {section.name}", "route_to_expert", arguments, pattern=pattern.source)

    def talk(self) -> Request:
        """Small talk, or a question about the assistant itself."""
        names = [name for name in self._talk if name != "repeat"]
        section = self._talk[self._rng.choices(names, [_TALK_WEIGHTS.get(name, 1.0) for name in names])[0]]
        return self._talk_from(section)

    def repeat(self) -> Request:
        """A wish to hear the last sentence again."""
        return self._talk_from(self._talk["repeat"])

    def _talk_from(self, section: Section) -> Request:
        # Short sections have no pattern to spare: there single wordings are held out.
        by_pattern = section.has(True)
        for _ in range(300):
            pattern = section.choose(self._rng, self._held_out and by_pattern)
            parts = pattern.expand(self._rng)
            plain = "".join(part if isinstance(part, str) else "_" for part in parts)
            if not parts or (not by_pattern and is_held_out(plain) != self._held_out):
                continue
            parts = self._wrap(parts, pattern.imperative, gentle=True)
            text, _ = self._write(parts, "", self._rng.random() < 0.5)
            if text:
                answers = section.answers
                return Request(
                    text,
                    f"talk {section.name}",
                    answer=answers[0] if self._rng.random() < 0.75 else self._rng.choice(answers),
                    pattern=pattern.source if by_pattern else plain,
                )
        raise LookupError(f"no wording in section {section.name}")

    def fact(self, *, known: bool) -> Request:
        """A question about something remembered; ``known``: the fact stands in the context, among others."""
        section = self._rng.choice(self._facts)
        while not section.has(self._held_out):
            section = self._rng.choice(self._facts)
        # The question and the fact share their slots, so that the question fits.
        for _ in range(400):
            fact_pattern, question_pattern = self._rng.choice(section.facts), section.choose(self._rng, self._held_out)
            fact_parts, question = fact_pattern.expand(self._rng), question_pattern.expand(self._rng)
            asked = {part.name for part in question if isinstance(part, Slot)}
            if not asked <= {part.name for part in fact_parts if isinstance(part, Slot)}:
                continue
            values = {part.name: self.values.loose(part.name) for part in fact_parts if isinstance(part, Slot)}
            filled: list[Part] = [values[part.name] if isinstance(part, Slot) else part for part in question]
            fact = "".join(values[part.name] if isinstance(part, Slot) else part for part in fact_parts)
            if "like" in fact and "don't" in fact and "not like" not in "".join(map(str, filled)):
                continue
            text, _ = self._write(
                self._wrap(filled, question_pattern.imperative, gentle=True), "", self._rng.random() < 0.5
            )
            if not known:
                return Request(text, f"unknown {section.name}", answer=NO_FACT)
            others = [
                other
                for other in (self.values.loose("statement") for _ in range(self._rng.choice([0, 0, 1, 2])))
                if other != fact
            ]
            facts = [*others, fact]
            self._rng.shuffle(facts)
            return Request(text, f"fact {section.name}", answer=say_back(fact), facts=tuple(facts))
        raise LookupError(f"no question fits section {section.name}")

    def _wrap(self, parts: list[Part], imperative: bool, *, gentle: bool = False) -> list[Part]:
        before = self._rng.choice(_BEFORE) if self._rng.random() < (0.2 if gentle else 0.5) else ""
        after = self._rng.choice(_AFTER) if self._rng.random() < (0.12 if gentle else 0.4) else ""
        wrapper = self._rng.choice(_WRAPPERS) if imperative else ""
        # "remember that ... please": what follows a sentence to keep would be read as part of it.
        if isinstance(parts[-1], Slot) and parts[-1].name in ("text", "code", "query", "topic"):
            after = ""
        return [before + wrapper, *parts, after]

    def _kind(self, tool: str, slot: str) -> str:
        if slot == "text":
            return "statement" if tool == "memory.remember" else "typed"
        return slot

    def _write(self, parts: list[Part], tool: str, speech: bool) -> tuple[str, dict[str, str | int]]:
        """Write the request down as this person would, and note what the slots became."""
        rng = self._rng
        typos = not speech and rng.random() < 0.12
        sloppy = rng.random() < 0.1
        quote = rng.choice(['"', "'", "`"]) if not speech and rng.random() < 0.07 else ""
        out: list[str] = []
        found: dict[str, str | int] = {}
        for part in parts:
            if isinstance(part, str):
                text = spoken(part, spell_signs=False) if speech else part
                if speech:
                    text = (
                        (" " if part.startswith(" ") else "")
                        + text
                        + (" " if part.endswith(" ") and part.strip() else "")
                    )
                if sloppy:
                    text = re.sub(r"\b(the|a|an|please) (?=\w)", lambda m: m[0] if rng.random() < 0.5 else "", text)
                out.append(_typo(text, rng) if typos and rng.random() < 0.5 else text)
                continue
            kind = self._kind(tool, part.name)
            if part.name in found:
                value = self.values.draw(kind)  # a second, different value ("is python faster than rust")
                out.append(value.text)
                continue
            if speech and kind in _SPOKEN_KINDS:
                value = self.values.draw(f"spoken_{kind}")
            elif part.name in TOOLS.get(tool, ()) or part.name == "expert":
                value = self.values.draw(kind)
            else:
                loose = self.values.loose(kind)
                out.append(_said(loose) if speech else loose)
                found[part.name] = loose
                continue
            text = _said(value.text) if speech else value.text
            if not speech and kind == "timezone" and rng.random() < 0.4:
                text = text.lower()
            if not speech and kind in ("query", "statement") and rng.random() < 0.2:
                text = text[:1].upper() + text[1:] if kind == "statement" else text
            argument = value.argument if isinstance(value.argument, int) else text
            found[part.name] = argument
            if (
                quote
                and kind in ("command", "code", "target", "typed", "url", "host", "playbook")
                and quote not in text
            ):
                text = f"{quote}{text}{quote}"
            out.append(text)
        text = re.sub(r"  +", " ", "".join(out)).strip() if not found else "".join(out).strip()
        text = re.sub(r"(?<=\S)  (?=\S)", " ", text)
        if not speech:
            text = self._punctuate(text, parts)
        return text, found

    def _punctuate(self, text: str, parts: list[Part]) -> str:
        rng = self._rng
        starts_with_slot = isinstance(next((p for p in parts if p != ""), ""), Slot)
        if rng.random() < 0.5 and not starts_with_slot:
            text = text[:1].upper() + text[1:]
        last = next((p for p in reversed(parts) if p != ""), "")
        ends_with_code = isinstance(last, Slot) and last.name in ("code", "command", "url")
        if rng.random() < (0.15 if ends_with_code else 0.5) and text[-1:].isalnum():
            question = re.match(
                r"(?i)(what|who|when|where|why|how|is|are|do|does|can|could|would|will|which|did|have|am)\b", text
            )
            text += "?" if question and rng.random() < 0.8 else rng.choice([".", ".", ".", "!"])
        if rng.random() < 0.15:
            text = re.sub(
                r"^(\w+) ",
                lambda m: (
                    m[1] + ", "
                    if m[1].lower() in ("hey", "ok", "hi", "hello", "please", "well", "so", "computer")
                    else m[0]
                ),
                text,
            )
        return text


def _said(text: str) -> str:
    return spoken(text, spell_signs=True)


def _typo(text: str, rng: random.Random) -> str:
    """One slip of the finger in a longer word."""
    places = list(re.finditer(r"[a-z]{4,}", text))
    if not places:
        return text
    word = rng.choice(places)
    at = rng.randrange(word.start(), word.end() - 1)
    slip = rng.randrange(3)
    if slip == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + (text[at] * 2 if slip == 1 else "") + text[at + 1 :]


_BACK = {
    "my": "your",
    "i": "you",
    "me": "you",
    "am": "are",
    "our": "your",
    "we": "you",
    "mine": "yours",
    "i'm": "you are",
}


def say_back(fact: str) -> str:
    """A fact as it is said to the person who told it: "my sister is called Ana" -> "Your sister is called Ana."."""
    words = [_BACK.get(word.lower(), word) for word in fact.split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:] + "."


def cannot(tool: str) -> str:
    """The sentence for a tool that is not there now."""
    return next(sentence for prefix, sentence in CANNOT.items() if tool.startswith(prefix))


def no_expert(expert: str) -> str:
    """The sentence for an expert that is not running."""
    return f"That needs the {expert} expert, and it is not running here."
