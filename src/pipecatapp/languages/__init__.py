"""What is particular to a language: a folder for each behind one interface (``language.py``).

To add a language: a folder with a ``LANGUAGE``, and its line here.
"""

from __future__ import annotations

import importlib
from functools import cache

from pipecatapp.languages.language import Language

LANGUAGES = {"en": "pipecatapp.languages.en:LANGUAGE"}


@cache
def language(code: str = "en") -> Language:
    """The language with this ISO 639 code; loaded when it is asked for.

    Raises:
        KeyError: there is none.
    """
    module, _, name = LANGUAGES[code].partition(":")
    found: Language = getattr(importlib.import_module(module), name)
    return found
