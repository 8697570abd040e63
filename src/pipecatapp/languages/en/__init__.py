"""English."""

from __future__ import annotations

from pathlib import Path

from pipecatapp.languages.en import things
from pipecatapp.languages.en.abbreviations import UNITS, is_abbreviation
from pipecatapp.languages.en.aloud import ALOUD
from pipecatapp.languages.en.answers import means_go_on, yes_or_no
from pipecatapp.languages.en.lists import LISTS
from pipecatapp.languages.en.memory_requests import MEMORY_REQUESTS
from pipecatapp.languages.en.node_requests import NODE_REQUESTS
from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.places import PLACES
from pipecatapp.languages.en.shapes import SHAPES
from pipecatapp.languages.en.speech import SPEECH
from pipecatapp.languages.en.statements import STATEMENTS
from pipecatapp.languages.en.stems import stem
from pipecatapp.languages.en.stop_words import STOP_WORDS
from pipecatapp.languages.language import Language

LANGUAGE = Language(
    code="en",
    yes_or_no=yes_or_no,
    means_go_on=means_go_on,
    stem=stem,
    units=UNITS,
    is_abbreviation=is_abbreviation,
    stop_words=STOP_WORDS,
    numbers=NUMBERS,
    speech=SPEECH,
    aloud=ALOUD,
    things=things,
    memory_requests=MEMORY_REQUESTS,
    node_requests=NODE_REQUESTS,
    statements=STATEMENTS,
    places=PLACES,
    lists=LISTS,
    shapes=SHAPES,
    everyday=Path(__file__).with_name("everyday.txt"),
)
