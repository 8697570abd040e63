"""The pages and what is in them: fenced blocks with commands, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("bash", "console", "sh", "shell")
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block with commands. ``test`` names the entry of elsewhere.py that runs it, or is empty."""

    page: Path
    line: int
    language: str
    body: str
    test: str = ""

    @property
    def name(self) -> str:
        """``docs/page.md:12``."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a block and what the page says it prints (empty: nothing is said)."""

    command: str
    printed: str = ""


def pages() -> list[Path]:
    """README and every page of docs, jobs, scripts and testing."""
    found = [
        ROOT / "README.md",
        ROOT / "scripts/README.md",
        ROOT / "testing/README.md",
        ROOT / "jobs/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
    return sorted(path for path in found if path.exists())


def blocks() -> list[Block]:
    """All blocks with commands, in the order of the pages."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            language, _, options = match["info"].strip().partition(" ")
            if language not in SHELLS:
                continue
            test = dict(part.partition("=")[::2] for part in options.split()).get("test", "")
            indent = len(match["indent"])
            body = "\n".join(line[indent:] for line in match["body"].splitlines())
            found.append(Block(page, text.count("\n", 0, match.start()) + 1, language, body, test))
    return found


def steps(block: Block) -> list[Step]:
    """A ``console`` block's commands with their output; any other block is one step."""
    if block.language != "console":
        return [Step(block.body)]
    found: list[Step] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        elif found and not found[-1].printed and found[-1].command.endswith("\\"):
            found[-1] = Step(f"{found[-1].command}\n{line}")
        elif found:
            found[-1] = Step(found[-1].command, f"{found[-1].printed}{line}\n")
    return found


def matches(said: str, printed: str) -> bool:
    """Whether the output is what the page says; ``...`` stands for anything, also for several lines."""
    pattern = re.escape(said.strip()).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, printed.strip(), flags=re.DOTALL) is not None


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The fragments that the headings of a page can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-") for heading in headings}
