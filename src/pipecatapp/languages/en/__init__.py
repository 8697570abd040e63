"""English."""

from __future__ import annotations

from pathlib import Path

from pipecatapp.languages.en import durations, spoken_times, things, times
from pipecatapp.languages.en.abbreviations import UNITS, is_abbreviation
from pipecatapp.languages.en.abilities import say_abilities
from pipecatapp.languages.en.aloud import ALOUD
from pipecatapp.languages.en.answers import means_go_on, yes_or_no
from pipecatapp.languages.en.arithmetic import read as read_calculation
from pipecatapp.languages.en.calendar_questions import CALENDAR
from pipecatapp.languages.en.lists import LISTS
from pipecatapp.languages.en.measures import MEASURES
from pipecatapp.languages.en.memory_requests import MEMORY_REQUESTS
from pipecatapp.languages.en.node_requests import NODE_REQUESTS
from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.places import PLACES
from pipecatapp.languages.en.pretence import PRETENCE
from pipecatapp.languages.en.shapes import SHAPES
from pipecatapp.languages.en.speech import SPEECH
from pipecatapp.languages.en.statements import STATEMENTS
from pipecatapp.languages.en.stems import stem
from pipecatapp.languages.en.stop_words import STOP_WORDS
from pipecatapp.languages.en.volume import read as read_volume
from pipecatapp.languages.language import Language, Times

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
    pretence=PRETENCE,
    places=PLACES,
    calendar=CALENDAR,
    lists=LISTS,
    measures=MEASURES,
    read_calculation=read_calculation,
    read_volume=read_volume,
    say_abilities=say_abilities,
    times=Times(
        duration=durations.duration,
        change=durations.change,
        when=times.when,
        choose=spoken_times.choose,
        answer_ring=spoken_times.answer_ring,
        say_duration=spoken_times.say_duration,
        name_by_duration=spoken_times.name_by_duration,
        say_time=spoken_times.say_time,
        say_day=spoken_times.say_day,
        say_moment=spoken_times.say_moment,
        say_rule=spoken_times.say_rule,
        address=spoken_times.address,
    ),
    shapes=SHAPES,
    everyday=Path(__file__).with_name("everyday.txt"),
)
