"""Prints, for a person at a terminal, also what others wrote: pages, models, servers, whoever told the agent something.

Their text may hold the sequences that steer a terminal: they move the cursor, rewrite what stands there, answer in the
person's name. None of them gets there: everything that the command line prints goes through here.
"""

from __future__ import annotations

import logging
import sys
import unicodedata

# Zero-width joiners hold scripts and emoji together and move nothing.
_JOINERS = "\u200c\u200d"


def printable(text: str, *, lines: bool = False) -> str:
    """The text without what steers a terminal: control characters, C1 too, and marks that turn the direction around.

    Args:
        text: of anybody.
        lines: line ends and tabs stay; else the text cannot leave its line.
    """
    return "".join(character if _is_harmless(character, lines) else _stand_in(character, lines) for character in text)


def say(text: object = "", *, end: str = "\n", to_stderr: bool = False) -> None:
    """Print a line, or several, at once."""
    print(printable(str(text), lines=True), end=end, file=sys.stderr if to_stderr else sys.stdout, flush=True)


def fail(text: object) -> int:
    """Print why it did not work; returns the exit code 1."""
    say(f"pipecatapp: {text}", to_stderr=True)
    return 1


class PrintableFormatter(logging.Formatter):
    """Log lines for a terminal: what libraries log holds what others sent."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return printable(super().format(record), lines=True)


def _is_harmless(character: str, lines: bool) -> bool:
    return (
        character.isprintable()
        or (lines and character in "\n\t")
        or character in _JOINERS
        or unicodedata.category(character) == "Zs"
    )


def _stand_in(character: str, lines: bool) -> str:
    # The line ends of Windows need no sign in their place.
    return "" if lines and character == "\r" else "\ufffd"
