"""The interface of a language: what the rest of the program asks of it. Words are in lower case throughout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from re import Pattern
from typing import Literal, Protocol

from pipecatapp.languages.calculation import Piece, Share
from pipecatapp.languages.pretence import Pretence
from pipecatapp.languages.skills import Calendar, Lists, Measures
from pipecatapp.languages.spoken_time import RingAnswer, SpokenChange, SpokenChoice, SpokenWhen
from pipecatapp.languages.volume_wish import VolumeWish

YesOrNo = Literal["yes", "no"]


class Things(Protocol):
    """How things are named and counted aloud."""

    def describe(self, counts: Mapping[str, int]) -> str:
        """What is seen, as one sentence, in the order of ``counts`` (class name of a detector -> how many)."""

    def name(self, label: str, count: int) -> str:
        """``a cup``, ``two cups``, ``several cups``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWords:
    """Words that say nothing of what a text is about, for each who compares texts.

    Attributes:
        facts: when facts are found by their words.
        tools: when a request is compared with tools.
        summary: when what was said is summed up.
        subject: in a request to recall or forget something.
    """

    facts: frozenset[str]
    tools: frozenset[str]
    summary: frozenset[str]
    subject: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers and dates in words.

    Attributes:
        small: the words for 0 to 12, in this order.
        words: every word that belongs to a number ("thirty", "point", "degrees").
        alike: other words that sound like a number ("for").
        weekdays: those words, today and tomorrow too.
        months: from January on.
        times: patterns of what a time of day or an amount is named with.
    """

    small: tuple[str, ...]
    words: frozenset[str]
    alike: frozenset[str]
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    times: tuple[str, ...]

    @property
    def sound_alike(self) -> frozenset[str]:
        """The words of which nobody hears whether a number is written there."""
        return self.words | self.alike

    def words_of(self, length: int) -> frozenset[str]:
        """The words of numbers with at least so many letters."""
        return frozenset(word for word in self.words if len(word) >= length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What matters while somebody speaks.

    Attributes:
        conjunctions: a first clause may end before one of them.
        leaning: a piece of speech that ends in one of these sounds broken off.
        fillers: sounds of listening, and recognizers' favourite guesses for noise.
        commands: words that end the answer at once.
        acknowledgements: what listeners say while they go on listening ("mm hm", "got it").
        phantoms: what recognizers invent for noise, as whole transcripts; nobody says it to an agent.
        doubtful: what they invent too, and people say; it counts where the recognizer is sure.
        announcing: how a sentence begins that says what the speaker is about to do ("I will look it up").
    """

    conjunctions: frozenset[str]
    leaning: frozenset[str]
    fillers: frozenset[str]
    commands: frozenset[str]
    acknowledgements: frozenset[str]
    phantoms: frozenset[str]
    doubtful: frozenset[str]
    announcing: Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aloud:
    """How what is written in short is said.

    Attributes:
        on_the_page: said in place of code.
        abbreviations: without the full stop at the end ("e.g") -> what they stand for.
        before_names: those of them behind which no sentence ends ("dr"), with a capital behind them.
        behind_names: those that mean something else behind a name ("Baker St.").
        before_numbers: those that are what they stand for only in front of a number ("no. 5").
        as_words: capitals that are a word -> how it is written.
        spelled: capitals with vowels that are read letter by letter.
        signs: a sign -> its word; silent: "".
        units: as written behind a number -> for one, for more; beyond those that pipecat has.
        close_units: units that count only where they touch the number ("in" is a word).
        currencies: signs and codes -> for one, for more.
        versions: words behind which a number is a version ("Python 3.11").
        years: words behind which a number of four digits is a year.
        perhaps_years: words behind which it is one where it can be one of our time.
    """

    on_the_page: str
    abbreviations: Mapping[str, str]
    before_names: frozenset[str]
    behind_names: Mapping[str, str]
    before_numbers: Mapping[str, str]
    as_words: Mapping[str, str]
    spelled: frozenset[str]
    signs: Mapping[str, str]
    units: Mapping[str, tuple[str, str]]
    close_units: frozenset[str]
    currencies: Mapping[str, tuple[str, str]]
    versions: frozenset[str]
    years: frozenset[str]
    perhaps_years: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRequests:
    """Whole requests about memory that are as plain as a command.

    Attributes:
        remember: "remember that ..."; what to remember is its group ``text``.
        forget: "forget that", about what was said just now.
        question: a question about what the person told, not about the agent.
        everything: words that mean all that is remembered.
    """

    remember: Pattern[str]
    forget: Pattern[str]
    question: Pattern[str]
    everything: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequests:
    """Whole requests about the house's machines that are as plain as a command; the machine is the group ``machine``.

    Attributes:
        join: "add node4 to the cluster".
        remove: "take node3 out of the cluster".
        heal: "heal node3"; of all machines, without the group.
        wake: "wake node2".
        kinds: words for a machine that are not its name ("pc").
        articles: words before them that are neither.
    """

    join: tuple[Pattern[str], ...]
    remove: tuple[Pattern[str], ...]
    heal: tuple[Pattern[str], ...]
    wake: tuple[Pattern[str], ...]
    kinds: frozenset[str]
    articles: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What a person states about themselves and their things. Speech recognition gives no capitals and no full stops.

    Attributes:
        boundary: what stands between two statements of one text.
        leaning: a clause that says nothing without the one before it ("my brother is not").
        secret: what is kept only when a person asks for it: passwords, codes, numbers of cards and accounts, keys.
        filler: what people begin with before they say it.
        doubt: what stands in a sentence that is not meant as it stands: a doubt, a condition, what others say, a tag.
        retraction: how a sentence begins that takes back the one before it ("at least I think so").
        task: how a request begins whose rest is what to do it with ("translate ...").
        wish: "remember that ..."; group 1 is what to remember.
        tail: a request that follows and is no part of it.
        statement: a whole statement that is worth keeping.
        correction: "no, it is ..."; the right value is its group ``value``.
        exchanges: "A, not B" and "not B but A", with the groups ``old`` and ``new``.
        subject: a statement as ``subject`` and ``value``.
        named: how a value begins that is a name ("called ").
        names: how a subject ends whose value is a name (" called").
        single: a subject of this kind has one value only.
        place: how a value begins that is a place.
        update: how a statement ends that tells what is different from before ("now").
        slips: what is no part of a statement ("uh", a word said twice), and what stands in its place.
        same: other ways to say the same, and the one way; to compare with.
        kinds: kinds of values of which one takes the place of another (days, months, times, colours).
    """

    boundary: Pattern[str]
    leaning: Pattern[str]
    secret: Pattern[str]
    filler: Pattern[str]
    doubt: Pattern[str]
    retraction: Pattern[str]
    task: Pattern[str]
    wish: Pattern[str]
    tail: Pattern[str]
    statement: Pattern[str]
    correction: Pattern[str]
    exchanges: tuple[Pattern[str], ...]
    subject: Pattern[str]
    named: Pattern[str]
    names: tuple[str, ...]
    single: Pattern[str]
    place: Pattern[str]
    update: Pattern[str]
    slips: tuple[tuple[Pattern[str], str], ...]
    same: tuple[tuple[Pattern[str], str], ...]
    kinds: tuple[Pattern[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a thing looks that is no word (an address, a path), and the words that tools for it are described with."""

    pattern: Pattern[str]
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Names of places and of time zones, without accents and marks ("st louis").

    Attributes:
        here: words for where the agent is.
        countries: other names of countries -> ISO 3166.
        cities: other names of cities -> their name in tools/places.tsv, and where that lies.
        zones: regions, and names of time zones -> a zone.
        surroundings: words around a place that are no part of its name.
        inside: what stands between a place and the one that it lies in.
        kinds: how one says what a place is, with the groups ``kind`` (a word of ``kind_words``) and ``name``.
        kind_words: words for a country, a state, a city -> ``country``, ``state``, ``city``.
        offset: "UTC+2", "GMT minus five", with the groups ``sign``, ``hours`` and ``minutes``.
    """

    here: frozenset[str]
    countries: Mapping[str, str]
    cities: Mapping[str, tuple[str, str]]
    zones: Mapping[str, str]
    surroundings: Pattern[str]
    inside: Pattern[str]
    kinds: tuple[Pattern[str], ...]
    kind_words: Mapping[str, str]
    offset: Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Durations and times, as they are said to the agent and by it. What is not understood is None.

    Attributes:
        duration: the seconds of "an hour and a half".
        change: "five minutes more", of a duration.
        when: "next Friday at noon", "every day at seven".
        choose: "the second one", "both".
        answer_ring: what a whole utterance says to something that rings.
        say_duration: seconds as "1 hour 30 minutes".
        name_by_duration: seconds as "10-minute".
        say_time: "5:30 in the afternoon".
        say_day: a date, seen from another one.
        say_moment: the date and the time, seen from now.
        say_rule: how often (as in ``SpokenRule``), and one of the times.
        address: "call my mum" as it is said to that person.
    """

    duration: Callable[[str], float | None]
    change: Callable[[str], SpokenChange | None]
    when: Callable[[str], SpokenWhen | None]
    choose: Callable[[str], SpokenChoice | None]
    answer_ring: Callable[[str], RingAnswer | None]
    say_duration: Callable[[float], str]
    name_by_duration: Callable[[float], str]
    say_time: Callable[[datetime], str]
    say_day: Callable[[date, date], str]
    say_moment: Callable[[datetime, datetime], str]
    say_rule: Callable[[str, int, Sequence[int], datetime], str]
    address: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language.

    Attributes:
        code: ISO 639.
        yes_or_no: whether a whole request is a plain yes or a plain no; None: it is (also) something else.
        means_go_on: whether a whole request asks for the rest of an answer, once that was offered.
        stem: a word without its endings, so that its forms meet. Linear and cached: it is asked for every word.
        units: what stands behind a number, with a full stop or without ("in.").
        is_abbreviation: whether a token with its full stop ("Dr.", "J.") is an abbreviation: no sentence ends there.
        stop_words: see there, like the rest.
        shapes: what is written in a request and is no word.
        read_calculation: the pieces of "18 percent of 240". Raises UnknownWordError for what is none.
        read_volume: how loud "a bit quieter" is; None where it is not understood.
        say_abilities: what tools of these names can do, in sentences.
        everyday: the file of what everyday words are about (tools/choice/everyday.py).
    """

    code: str
    yes_or_no: Callable[[str], YesOrNo | None]
    means_go_on: Callable[[str], bool]
    stem: Callable[[str], str]
    units: frozenset[str]
    is_abbreviation: Callable[[str], bool]
    stop_words: StopWords
    numbers: Numbers
    speech: Speech
    aloud: Aloud
    things: Things
    memory_requests: MemoryRequests
    node_requests: NodeRequests
    statements: Statements
    pretence: Pretence
    places: Places
    calendar: Calendar
    lists: Lists
    measures: Measures
    read_calculation: Callable[[str], Sequence[Piece] | Share]
    read_volume: Callable[[str], VolumeWish | None]
    say_abilities: Callable[[Sequence[str]], str]
    times: Times
    shapes: tuple[Shape, ...]
    everyday: Path
