"""Finds the time zone that a person means: a country, a state, a city, a zone, an offset; or what has to be asked.

What counts is the time, not the zone: a country with several zones in which nearly everybody has the same time is no
question, two cities of one name in the same zone are none either.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipecatapp.languages import language

# So large a part of the people of a country has the same time, and nobody has to be asked.
_NEARLY_ALL = 0.94
# Of places with one name the largest is meant when it is so many times larger; a capital counts more than its size,
# a state less.
_CLEARLY, _CAPITAL, _STATE = 3.0, 3.0, 0.5
_LISTED = 4
_MOST_HOURS = 14
_ABBREVIATED = 4
_MOST_WORDS, _LONGEST = 8, 200
_KINDS = {"capital": "city"}
_APOSTROPHES = re.compile("['\u2019`]")
_MARKS = re.compile(r"[\W_]+")
_PLACES = language().places
_NUMBERS = language().numbers


@dataclass(frozen=True, slots=True)
class Found:
    """A zone, and how it is called aloud; ``name`` empty: as the person said."""

    zone: tzinfo
    name: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """What the person may have meant. ``inside``: parts of a place with several times; else places of one name."""

    place: str
    choices: tuple[str, ...]
    inside: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of the table. ``people``: in thousands. ``zones``: with the share of the people."""

    kind: str
    name: str
    code: str
    people: int
    zones: tuple[tuple[str, float], ...]

    @property
    def weight(self) -> float:
        """How likely it is meant among places of its name."""
        return max(1, self.people) * {"capital": _CAPITAL, "state": _STATE}.get(self.kind, 1.0)


def find_zone(place: str, now: datetime) -> Found | Unclear | None:
    """The zone of a place, what must be asked to know it, or None when nobody knows the place.

    Args:
        place: in a person's words.
        now: an instant with a zone: whether two places have the same time depends on it.
    """
    if (exact := _exact_zone(place) or _offset(place)) is not None:
        return exact
    key = _key(place)
    if zone := _PLACES.zones.get(key):
        return Found(ZoneInfo(zone), _as_said(place))
    if candidates := _candidates(place):
        return _choose(place, candidates, now)
    if zone := _zones_by_city().get(key):
        return Found(ZoneInfo(zone), _as_said(place))
    # Nobody knows the place, but where it lies.
    around = _around(place)
    return find_zone(around, now) if around else None


def _exact_zone(name: str) -> Found | None:
    """``Europe/Berlin``, in any case."""
    wanted = "_".join(name.strip(" .,?!").casefold().split())
    zone = _zone_names().get(wanted) if "/" in wanted else None
    return Found(ZoneInfo(zone), _spoken(zone)) if zone else None


def _offset(place: str) -> Found | None:
    found = _PLACES.offset.fullmatch(" ".join(place.casefold().strip(" .,?!").split()))
    if found is None:
        return None
    said = found["hours"]
    hours = int(said) if said.isdigit() else _NUMBERS.small.index(said) if said in _NUMBERS.small else None
    if hours is None or hours > _MOST_HOURS:
        return None
    away = timedelta(hours=hours, minutes=int(found["minutes"] or 0))
    negative = found["sign"] in ("-", "\u2212", "minus")
    minutes = f":{found['minutes']}" if found["minutes"] not in (None, "00") else ""
    name = f"UTC{'-' if negative else '+'}{hours}{minutes}"
    return Found(timezone(-away if negative else away, name), name)


def _candidates(place: str) -> list[_Place]:
    """All places that may be meant by a name, or by a name and what the place lies in ("Paris, Texas")."""
    if found := _named(_key(place)):
        return found
    for pattern in _PLACES.kinds:
        if said := pattern.fullmatch(place.strip(" .,?!")[:_LONGEST]):
            kind = _PLACES.kind_words[said["kind"].lower()]
            return [named for named in _named(_key(said["name"])) if _KINDS.get(named.kind, named.kind) == kind]
    for name, around in _split(place):
        regions = _regions(_key(around))
        if found := [place for place in _named(_key(name)) if _lies_in(place.code, regions)]:
            return found
    return []


def _around(place: str) -> str:
    """What a place lies in, that is known itself; empty: nothing."""
    for _, around in _split(place):
        key = _key(around)
        if _named(key) or key in _PLACES.zones or _regions(key):
            return around
    return ""


def _split(place: str) -> list[tuple[str, str]]:
    """All ways to read a name as that of a place inside another one. Speech recognition hears no comma."""
    front, mark, back = place.partition(",") if "," in place else ("", "", "")
    if mark:
        return [(front, back)]
    parts = _PLACES.inside.split(place)
    if len(parts) > 1:
        return [(parts[0], parts[-1])]
    words = place.split()[:_MOST_WORDS]
    return [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]


def _regions(name: str) -> set[str]:
    """The codes of the countries and states of this name; states of the USA by their two letters too."""
    codes = {place.code for place in _named(name) if place.kind in ("country", "state")}
    code = f"US-{name.upper()}"
    return codes | ({code} if any(place.code == code for place in _table()) else set())


def _lies_in(code: str, regions: Iterable[str]) -> bool:
    return any(code == region or code.startswith(f"{region}-") for region in regions)


def _named(key: str) -> list[_Place]:
    """The places of this name; without "city" in it only where nothing is called so."""
    names = _names()
    if code := _PLACES.countries.get(key):
        return [place for place in _table() if place.kind == "country" and place.code == code]
    found = list(names.get(key, ()))
    if (city := _PLACES.cities.get(key)) is not None:
        found += [place for place in names.get(_key(city[0]), ()) if place.code == city[1]]
    if "saint" in key.split() or not found:
        # It sounds the same, and one says "Saint" for both.
        found += names.get(_exchange(key, "saint", "st"), []) + names.get(_exchange(key, "st", "saint"), [])
    return list(dict.fromkeys(found)) or list(names.get(f"{key} city", ()))


def _exchange(key: str, old: str, new: str) -> str:
    words = key.split()
    return " ".join(new if word == old else word for word in words) if old in words else ""


def _choose(said: str, candidates: Sequence[_Place], now: datetime) -> Found | Unclear | None:
    timed = [(place, times) for place in candidates if (times := _times(place, now))]
    if not timed:
        return None
    timed.sort(key=lambda entry: -entry[0].weight)
    first, first_times = timed[0]
    rivals = {next(iter(first_times)): first}
    for place, times in timed[1:]:
        if place.weight * _CLEARLY > first.weight:
            rivals.setdefault(next(iter(times)), place)
    if len(rivals) > 1:
        return Unclear(_as_said(said), tuple(map(_describe, rivals.values()))[:_LISTED], inside=False)
    offset, share = next(iter(first_times.items()))
    name = _with_article(first.name) if first.kind == "country" or _key(first.name) == _key(said) else _as_said(said)
    if share < _NEARLY_ALL:
        cities = _cities_in(first, now)
        if len(cities) > 1:
            return Unclear(name, cities, inside=True)
        name = cities[0] if cities else name
    zone = next(zone for zone, _ in first.zones if _offset_of(zone, now) == offset)
    return Found(ZoneInfo(zone), name)


def _times(place: _Place, now: datetime) -> dict[timedelta, float]:
    """The share of its people that has each offset from UTC now, the largest first."""
    shares: dict[timedelta, float] = {}
    for zone, share in place.zones:
        offset = _offset_of(zone, now)
        if offset is not None:
            shares[offset] = shares.get(offset, 0.0) + share
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))


def _cities_in(place: _Place, now: datetime) -> tuple[str, ...]:
    """The largest city for each of its times, the largest times first."""
    found: dict[timedelta, str] = {}
    for city in _table():
        if city.kind not in ("country", "state") and _lies_in(city.code, [place.code]):
            offset = _offset_of(city.zones[0][0], now)
            if offset is not None:
                found.setdefault(offset, city.name)
    ordered = [found[offset] for offset in _times(place, now) if offset in found]
    return tuple(ordered[:_LISTED])


def _describe(place: _Place) -> str:
    """A place among others of its name."""
    if place.kind == "country":
        return f"{place.name}, the country"
    if place.kind == "state":
        return f"the state of {place.name}"
    regions = (region.name for region in _table() if region.kind in ("country", "state") and region.code == place.code)
    return f"{place.name} in {_with_article(next(regions, place.code))}"


def _with_article(name: str) -> str:
    plural = name.startswith(("United ", "Bahamas", "District ", "Gambia", "Netherlands", "Philippines", "Maldives"))
    return f"the {name}" if plural or name.endswith((" Islands", "Republic")) else name


def _offset_of(zone: str, now: datetime) -> timedelta | None:
    try:
        return now.astimezone(ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError):
        return None  # the zone files of this PC are older than the table


@cache
def _table() -> tuple[_Place, ...]:
    """Countries, states, then cities, the largest first."""
    rows = []
    for line in Path(__file__).with_name("places.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        kind, name, code, people, zones = line.split("\t")
        shares = (zone.partition("=") for zone in zones.split(","))
        rows.append(
            _Place(kind, name, code, int(people), tuple((zone, int(share or 1000) / 1000) for zone, _, share in shares))
        )
    return tuple(rows)


@cache
def _names() -> dict[str, list[_Place]]:
    found: dict[str, list[_Place]] = {}
    for place in _table():
        found.setdefault(_key(place.name), []).append(place)
    return found


@cache
def _zone_names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


@cache
def _zones_by_city() -> dict[str, str]:
    """Zones by the place that they are called after; not the old names ("Brazil/East")."""
    old = ("Etc/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(old))
    return {_key(name.rpartition("/")[2]): name for name in reversed(names)}


def _spoken(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


def _as_said(place: str) -> str:
    """As the person said it. Speech recognition gives no capitals."""
    said = " ".join(place.strip(" .,?!").split())
    if not said.islower():
        return said
    return said.upper() if len(said) <= _ABBREVIATED else said.title()


def _key(place: str) -> str:
    """A name without accents, marks and the words around it: "the Zürich time" -> "zurich"."""
    plain = unicodedata.normalize("NFKD", place.casefold().replace("\u0131", "i"))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = _MARKS.sub(" ", _APOSTROPHES.sub("", plain)).strip()
    before = ""
    while before != plain:
        before, plain = plain, _PLACES.surroundings.sub("", plain).strip()
    return plain
