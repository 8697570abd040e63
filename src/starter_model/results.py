"""Made-up results of tools, and how they are said: short sentences as they are, raw output by its first lines."""

from __future__ import annotations

import random

from starter_model.turns import Request
from starter_model.values import Values, lists

_OBJECTS = (
    "person", "cup", "chair", "cat", "dog", "bottle", "laptop", "book", "phone", "keyboard", "table", "sofa", "plant", "clock", "bag", "car",
    "bicycle", "umbrella", "banana", "apple", "spoon", "bowl", "tv", "mouse", "remote", "bed", "backpack", "bird",
)  # fmt: skip
_ERRORS = (
    "the host does not answer", "connection refused", "permission denied", "it took too long", "no such file or directory", "command not found",
    "nobody approved it", "the page could not be loaded", "there is no such expert", "the service is unknown", "the playbook was not found",
    "no element with that name", "the disk is full", "invalid syntax", "the person said no", "the network is down", "not allowed here",
    "unknown time zone", "nothing was found", "the tool is busy",
)  # fmt: skip


class Results:
    """Draws results that fit a request."""

    def __init__(self, rng: random.Random, values: Values) -> None:
        self._rng = rng
        self._values = values

    def of(self, request: Request) -> tuple[str, str]:
        """The tool's text, and the assistant's sentence about it."""
        if self._rng.random() < 0.12:
            reason = (
                self._rng.choice(_ERRORS)
                if self._rng.random() < 0.7
                else f"{self._word()} {self._word()} {self._rng.choice(['failed', 'is missing', 'not found', 'is down'])}"
            )
            return f"error: {reason}", f"That did not work: {reason}."
        if self._rng.random() < 0.2:
            return self._sentence_as_is(self._free_sentence())
        make = {
            "clock.now": self._clock,
            "mcp.get_status": self._status,
            "mcp.get_memory_summary": self._memory,
            "mcp.clear_short_term_memory": self._cleared,
            "summarizer.get_summary": self._free_sentence,
            "memory.remember": self._noted,
            "memory.recall": self._recalled,
            "memory.forget": self._forgotten,
            "power.set_idle_threshold": self._free_sentence,
            "vision.get_observation": self.observation,
            "web_browser.goto": self._page,
            "web_browser.get_screenshot": self._free_sentence,
            "web_browser.click": self._free_sentence,
            "web_browser.type": self._free_sentence,
            "web_browser.get_page_content": self._free_sentence,
            "route_to_expert": self._free_sentence,
        }.get(str(request.tool))
        return self._sentence_as_is(make()) if make else self._raw()

    def observation(self) -> str:
        """What a camera sees."""
        seen = self._rng.sample(_OBJECTS, self._rng.choice([1, 1, 2, 3]))
        if self._rng.random() < 0.08:
            return self._rng.choice(["I see nothing that I know.", "I do not see anything.", "There is no camera."])
        named = [
            f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
            if self._rng.random() < 0.8
            else f"{self._rng.choice(['two', 'three', 'four'])} {thing}s"
            for thing in seen
        ]
        listed = named[0] if len(named) == 1 else ", ".join(named[:-1]) + f" and {named[-1]}"
        return f"I see {listed}."

    def _sentence_as_is(self, text: str) -> tuple[str, str]:
        return text, text

    def _word(self) -> str:
        return self._values.loose("word")

    def _clock(self) -> str:
        day = self._rng.choice("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
        month = self._rng.choice(
            "January February March April May June July August September October November December".split()
        )
        hour, minute = self._rng.randint(0, 23), self._rng.randint(0, 59)
        place = f" in {self._values.loose('timezone')}" if self._rng.random() < 0.3 else ""
        date = (
            f"{day}, {self._rng.randint(1, 28)} {month} {self._rng.randint(2024, 2035)}"
            if self._rng.random() < 0.6
            else day
        )
        return self._rng.choice(
            [
                f"It is {hour}:{minute:02d} on {date}{place}.",
                f"It is {hour:02d}:{minute:02d}{place}.",
                f"It is {date}, {hour:02d}:{minute:02d}{place}.",
            ]
        )

    def _status(self) -> str:
        parts = [
            "the engine",
            "speech recognition",
            "speech output",
            "memory",
            "the microphone",
            "the web page",
            "the language model",
            "the network",
        ]
        bad = self._rng.sample(parts, self._rng.choice([1, 1, 2]))
        fine = [
            "Everything works.",
            "All parts work.",
            f"All {self._rng.randint(3, 9)} components are ok.",
            "Everything is running.",
            "All systems are up.",
        ]
        broken = [
            f"{bad[0].capitalize()} is not ready: {self._word()} {self._word()}.",
            f"Everything works except {' and '.join(bad)}.",
            f"{bad[0].capitalize()} is starting, {self._rng.randint(1, 99)} percent done.",
        ]
        return self._rng.choice(fine if self._rng.random() < 0.5 else broken) + self._rng.choice(
            [
                "",
                f" Up for {self._rng.randint(2, 59)} minutes.",
                f" The model is {self._word()}-{self._rng.randint(1, 9)}b.",
            ]
        )

    def _memory(self) -> str:
        count = self._rng.randint(2, 99)
        return self._rng.choice([f"I remember {count} facts and the last {self._rng.randint(2, 10)} turns.", "There is nothing in my memory yet.", f"In this conversation: {self._rng.randint(2, 10)} turns. Long-term memory: {count} facts.",
                                 f"We talked about {self._values.loose('query')} and {self._values.loose('query')}."])  # fmt: skip

    def _cleared(self) -> str:
        return self._rng.choice(
            [
                "Cleared.",
                "I forgot this conversation.",
                "The short term memory is empty now.",
                "Done. We start fresh.",
                f"I forgot the last {self._rng.randint(2, 10)} turns.",
            ]
        )

    def _noted(self) -> str:
        return self._rng.choice(
            ["I will remember that.", "Noted.", "Saved.", f"I noted: {self._values.loose('statement')}."]
        )

    def _recalled(self) -> str:
        return self._rng.choice(
            [
                "I know nothing about that.",
                f"You told me: {self._values.loose('statement')}.",
                f"I remember that {self._values.loose('statement')}.",
            ]
        )

    def _forgotten(self) -> str:
        return self._rng.choice(
            [
                "Forgotten.",
                f"I forgot {self._rng.randint(2, 9)} facts.",
                "I deleted that note.",
                "There was nothing to forget.",
            ]
        )

    def _page(self) -> str:
        title = " ".join(self._word() for _ in range(self._rng.randint(1, 3)))
        return self._rng.choice(
            [
                f"The page is open: {title.capitalize()}.",
                f"I opened {self._values.loose('url')}.",
                f"The page {title} is open.",
            ]
        )

    def _free_sentence(self) -> str:
        a, b, c = self._word(), self._word(), self._values.loose("query")
        sentences = [
            f"We talked about {c} and decided to {a} the {b}.", f"You said that {self._values.loose('statement')}.", f"The {a} is {b} now.",
            f"Done: {a} {b}.", f"I found nothing about {c}.", f"{c.capitalize()} was {a}, and the {b} came later.", f"The answer is {self._rng.randint(2, 9999)}.",
            f"{self._values.loose('service').capitalize()} now sleeps after {self._rng.randint(2, 120)} minutes.", f"I clicked {self._values.loose('target')}.",
            f"The {a} {b} has {self._rng.randint(2, 99)} {self._values.loose('things')}. The {self._word()} is next.", f"We said little about {c}. It was {a}.",
        ]  # fmt: skip
        return self._rng.choice(sentences)

    def _raw(self) -> tuple[str, str]:
        lines = [self._line() for _ in range(self._rng.choice([1, 1, 1, 2, 3, 4]))]
        if self._rng.random() < 0.08:
            return "(no output)", "It worked and printed nothing."
        if self._rng.random() < 0.06:
            return f"ok=12 changed={self._rng.randint(0, 9)} failed=0", "It worked, nothing failed."
        text = "\n".join(lines)
        if len(lines) == 1:
            return text, f"It says: {lines[0]}"
        return text, f"The first line says: {lines[0]}"

    def _line(self) -> str:
        pick, rng = self._rng.choice, self._rng
        a, b = self._word(), self._word()
        return pick(
            [
                f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d} up {rng.randint(1, 99)} days, {rng.randint(1, 9)} users, load average: {rng.random():.2f}",
                str(rng.randint(0, 99999)), f"{a}", f"{a} {b}", f"/dev/sd{pick('abc')}{rng.randint(1, 4)} {rng.randint(1, 99)}G {rng.randint(1, 99)}%", pick(lists()["username"]),
                f"{a}.service is {pick(['active', 'inactive', 'failed'])}", f"Mem: {rng.randint(100, 9999)} {rng.randint(100, 9999)}", f"{a}: {b} {rng.randint(1, 99)}", self._values.loose("host"),
                f"Linux {self._values.loose('hostword')} 6.1.0-{rng.randint(1, 40)}-amd64", f"{rng.randint(1, 9)} packets transmitted, {rng.randint(1, 9)} received", f"[{rng.randint(1, 99)}, {rng.randint(1, 99)}]",
                f"{rng.random() * 100:.3f}", pick(["True", "False", "None", "ok", "done"]),
            ]
        )  # fmt: skip
