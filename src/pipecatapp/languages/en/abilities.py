"""What the assistant can do, in words: an ability for each tool or group of tools."""

from __future__ import annotations

from collections.abc import Sequence

from pipecatapp.languages.en.lists import join

# The beginning of a tool's name -> what it lets one do; several have the same words, which are said once.
_ABILITIES = (
    ("clock.", "tell the time here and elsewhere"),
    ("calendar.", "count days and find dates"),
    ("timer.", "set timers"),
    ("alarm.", "set alarms"),
    ("reminder.", "remind you of things"),
    ("list.", "keep your lists"),
    ("calculator.", "calculate"),
    ("units.", "convert units"),
    ("memory.", "remember what you tell me"),
    ("summarizer.", "sum up what we said"),
    ("vision.", "look through the camera"),
    ("web_browser.", "open web pages and read them"),
    ("mcp.get_status", "say how everything is running"),
    ("ssh.", "run commands on other machines"),
    ("ansible.", "run playbooks"),
    ("code_runner.", "run Python programs"),
    ("nodes.", "look after the machines of the cluster"),
    ("power.", "let services sleep"),
    ("audio.", "speak louder or more quietly"),
    ("undo", "take back what I changed"),
    ("route_to_expert", "hand questions to experts"),
)
# Known, and nothing to boast of.
_SILENT = ("mcp.", "say_again", "what_can_you_do")


def say_abilities(names: Sequence[str]) -> str:
    """What tools of these names can do, in sentences."""
    known = {name: does for name in names for start, does in _ABILITIES if name.startswith(start)}
    can = [does for _, does in _ABILITIES if does in known.values()]
    if not can:
        return "I can talk with you. No tool is on here."
    others = [name for name in names if name not in known and not name.startswith(_SILENT)]
    if others:
        can.append(f"use {len(others)} tools of other servers" if len(others) > 1 else "use a tool of another server")
    return f"I can {join(can)}. What acts on the world outside waits for your yes."
