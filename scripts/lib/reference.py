"""Writes the reference pages that code can print, or checks that they are up to date.

scripts/docs            # write docs/reference/{settings,events,cli,tools}.md and the READMEs of the roles
scripts/docs --check    # fail when one differs from the code
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from role_readmes import readmes

from pipecatapp import events
from pipecatapp.cli.main import program
from pipecatapp.cli.verb import Verb
from pipecatapp.settings import CONFIG_FILE, Settings
from pipecatapp.tools.registry import TOOLS, spec_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by scripts/docs from {source}; change that file, not this page. -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(cells[0]))
    return "\n".join(lines) + "\n"


def type_name(kind: Any) -> str:
    """A type in the words of a person: the choices of a Literal, ``text``, ``number`` and so on."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_name(part) for part in typing.get_args(kind) if part is not type(None))
    words = {
        "str": "text",
        "int": "whole number",
        "bool": "`true`, `false`",
        "float": "number",
        "Path": "path",
        "HttpUrl": "URL",
    }
    name = getattr(kind, "__name__", str(kind))
    return words.get(name, name)


def default_of(field: FieldInfo) -> str:
    """The default of a setting as it would be written in the environment."""
    if field.default in (PydanticUndefined, None, ""):
        return "(empty)"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def settings_page() -> str:
    """docs/reference/settings.md."""
    rows = [
        (f"`{name.upper()}`", type_name(field.annotation), default_of(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        (
            "# Settings\n",
            NOTICE.format(source="src/pipecatapp/settings.py"),
            f"Environment variables, or lines `NAME=value` in `{CONFIG_FILE}` (`PIPECATAPP_CONFIG` names another",
            "file); the environment wins. They are validated together at start: a wrong value refuses to start and",
            "names the field. `pipecatapp settings` prints what is in force.\n",
            table(("Name", "Values", "Default", "Meaning"), rows),
        )
    )


def events_page() -> str:
    """docs/reference/events.md."""
    parts = [
        "# Events\n",
        NOTICE.format(source="src/pipecatapp/events.py"),
        "Everything that happens is an event: the page, the log and the benchmarks read the same stream. Over",
        "`/ws?conversation=ID&after=SEQ` each arrives as one JSON object with `type`, `seq` (counts up in each",
        "conversation), `at` (seconds since 1970), `conversation` (empty: the whole node) and the fields below.\n",
    ]
    for name, kind in events.EVENT_TYPES.items():
        hints = typing.get_type_hints(kind)
        own = [field for field in dataclasses.fields(kind) if field.name != "conversation"]
        parts.append(f"## `{name}`\n")
        parts.append((kind.__doc__ or "").strip() + "\n")
        if own:
            parts.append(table(("Field", "Type"), ((f"`{f.name}`", event_type(hints[f.name])) for f in own)))
    return "\n".join(parts)


def event_type(kind: Any) -> str:
    """The JSON type of an event's field."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if part is type(None) else event_type(part) for part in typing.get_args(kind))
    words = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return words.get(kind, "object")


def tools_page() -> str:
    """docs/reference/tools.md."""
    parts = [
        "# Tools\n",
        NOTICE.format(source="src/pipecatapp/tools"),
        "What the agent can do for a person, by the name that the model uses. `read` tools run at once; `own` tools do",
        "where a person's words ask for it, and wait for a yes elsewhere; `act` and `danger` always wait for one.",
        "[How to add one](../howto/add-a-tool.md).\n",
    ]
    for name in sorted(TOOLS):
        spec = spec_of(name)
        parts.append(f"## `{spec.name}`\n")
        parts.append(f"{spec.description} Risk: `{spec.risk}`. At most {spec.timeout_s:g} seconds.\n")
        required = spec.parameters.get("required", ())
        rows = [
            (
                f"`{name}`",
                str(schema.get("type", "any")),
                "yes" if name in required else "no",
                "yes" if name in spec.copied else "no",
                str(schema.get("description", "")),
            )
            for name, schema in spec.parameters.get("properties", {}).items()
        ]
        if rows:
            parts.append(table(("Argument", "Type", "Required", "Copied from the request", "Meaning"), rows))
    return "\n".join(parts)


def cli_page() -> str:
    """docs/reference/cli.md."""
    parts = [
        "# Command line\n",
        NOTICE.format(source="src/pipecatapp/cli"),
        "`pipecatapp` is the program, and the way to talk to it from a terminal. On an installed node run it with",
        "`sudo`: it then becomes the user that the agent runs as. Exit codes: 0 done, 1 failed, 2 wrong usage or",
        "configuration; `models pull` also 3, a source could not be reached. Every command explains itself with",
        "`--help`.\n",
    ]
    for words, verb in verbs(program, "pipecatapp"):
        parts += verb_section(" ".join(words), verb)
    return "\n".join(parts)


def verbs(verb: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The verbs that have none of their own, with the words that call them."""
    if isinstance(verb, click.Group):
        for name, below in verb.commands.items():
            yield from verbs(below, *words, name)
    else:
        yield words, verb


def verb_section(words: str, verb: click.Command) -> Iterator[str]:
    """What one verb does and takes."""
    yield f"## `{words}`\n"
    yield inspect.cleandoc(verb.help or "") + "\n"
    rows = []
    for parameter in verb.params:
        name = parameter.human_readable_name if isinstance(parameter, click.Argument) else ", ".join(parameter.opts)
        default = getattr(parameter, "show_default", None) and f" [default: {parameter.default:g}]"
        rows.append((f"`{name}`", f"{getattr(parameter, 'help', '')}{default or ''}"))
    if rows:
        yield table(("Argument", "Meaning"), rows)
    if isinstance(verb, Verb):
        yield f"Example: `{verb.example}`\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "events.md": events_page,
    "tools.md": tools_page,
}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is out of date")
    check = parser.parse_args().check
    stale = False
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = {FOLDER / name: page().rstrip() + "\n" for name, page in PAGES.items()} | readmes(table)
    for path, text in pages.items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        if check:
            stale = True
            diff = difflib.unified_diff(
                old.splitlines(), text.splitlines(), str(path), "from the code", lineterm="", n=1
            )
            print(*list(diff)[:20], sep="\n")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    if stale:
        print("generated pages are out of date: run scripts/docs", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    raise SystemExit(main())
