"""The map of the house shows the house: each file it names is there, and each room of the house is on it."""

from __future__ import annotations

import re

import pytest

from testing.docs.pages import ROOT

pytestmark = pytest.mark.docs

SOURCE = ROOT / "src/pipecatapp"
# A path below a folder, or a bare name of a Python file. A name with a star, a hole or an address in it is no path.
NAMED = re.compile(r"(?<![\w./*<>:{~-])(?P<path>(?:[a-z_0-9]+/)*[a-z_0-9]+\.py)(?![\w*<{])")


def text_of(page: str) -> str:
    """The page of docs as it stands."""
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def exists(path: str) -> bool:
    """Whether it lies in the project, or (as the pages shorten it) somewhere below the source."""
    if any((folder / path).exists() for folder in (ROOT, ROOT / "src", SOURCE)):
        return True
    return any(found.as_posix().endswith(f"/{path}") for found in (ROOT / "src").rglob(path.rpartition("/")[2]))


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "GLOSSARY.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = {match["path"] for match in NAMED.finditer(text_of(page))}
    assert named, "the page names files"
    assert sorted(path for path in named if not exists(path)) == []


def test_every_room_is_described() -> None:
    rooms = {f"{init.parent.relative_to(SOURCE)}/" for init in SOURCE.rglob("__init__.py")} - {"./"}
    rows = re.findall(r"^\| ((?:`[a-z_/]+/`(?:, )?)+) \|", text_of("ARCHITECTURE.md"), flags=re.MULTILINE)
    assert {room for row in rows for room in re.findall(r"`([^`]+)`", row)} == rooms
