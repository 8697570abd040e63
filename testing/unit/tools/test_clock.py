"""The time here and elsewhere: what people call places, and what has to be asked."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import pipecatapp.tools
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.clock import Clock
from pipecatapp.tools.time_zones import Found, Unclear, find_zone

pytestmark = pytest.mark.unit

HERE = ToolContext("c", "t")
SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def clock(zone: tzinfo | None) -> datetime:
    return datetime(2026, 11, 20, 9, 5, tzinfo=UTC).astimezone(zone or UTC)


def offset(place: str, now: datetime = SUMMER) -> timedelta | None:
    found = find_zone(place, now)
    assert isinstance(found, Found), found
    return now.astimezone(found.zone).utcoffset()


async def say(place: str) -> str:
    return (await Clock(clock).run({"timezone": place}, HERE)).text


@pytest.mark.parametrize("place", ["", "here", "Here.", "my place"])
async def test_the_time_is_a_sentence(place: str) -> None:
    assert await say(place) == "It is 09:05 on Friday, 20 November 2026."


@pytest.mark.parametrize(
    ("place", "name"),
    [("tokyo", "Tokyo"), ("uk", "the United Kingdom"), ("cet", "CET"), ("utc+2", "UTC+2")],
)
async def test_the_time_elsewhere_names_the_place(place: str, name: str) -> None:
    assert (await say(place)).endswith(f" 20 November 2026 in {name}.")


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"), ("new york", "America/New_York"), ("Japan", "Asia/Tokyo"),
        ("Austria", "Europe/Vienna"), ("UTC", "Etc/UTC"), ("los-angeles.", "America/Los_Angeles"),
        ("Pacific time", "America/Los_Angeles"), ("Germany", "Europe/Berlin"), ("the UK", "Europe/London"),
        ("England", "Europe/London"), ("San Francisco", "America/Los_Angeles"), ("Beijing", "Asia/Shanghai"),
        ("Mumbai", "Asia/Kolkata"), ("bombay", "Asia/Kolkata"), ("Zürich", "Europe/Zurich"),
        ("zurich right now", "Europe/Zurich"), ("Cologne", "Europe/Berlin"), ("köln", "Europe/Berlin"),
        ("Düsseldorf", "Europe/Berlin"), ("duesseldorf", "Europe/Berlin"), ("São Paulo", "America/Sao_Paulo"),
        ("sao paulo", "America/Sao_Paulo"), ("Xi'an", "Asia/Shanghai"), ("st louis", "America/Chicago"),
        ("st. petersburg, russia", "Europe/Moscow"), ("St. Petersburg", "Europe/Moscow"),
        ("St. Petersburg, Florida", "America/New_York"), ("Texas", "America/Chicago"), ("Hawaii", "Pacific/Honolulu"),
        ("california", "America/Los_Angeles"), ("Portland Maine", "America/New_York"),
        ("Portland", "America/Los_Angeles"), ("San Jose in Costa Rica", "America/Costa_Rica"),
        ("Paris", "Europe/Paris"), ("Paris, Texas", "America/Chicago"), ("London", "Europe/London"),
        ("London, Ontario", "America/Toronto"), ("Springfield Illinois", "America/Chicago"),
        ("China", "Asia/Shanghai"), ("Spain", "Europe/Madrid"), ("Portugal", "Europe/Lisbon"),
        ("Ukraine", "Europe/Kyiv"), ("Chile", "America/Santiago"), ("New Zealand", "Pacific/Auckland"),
        ("Kazakhstan", "Asia/Almaty"), ("Argentina", "America/Argentina/Buenos_Aires"),
        ("the Netherlands", "Europe/Amsterdam"), ("Holland", "Europe/Amsterdam"), ("Bali", "Asia/Makassar"),
        ("Washington DC", "America/New_York"), ("NYC", "America/New_York"), ("Mexico City", "America/Mexico_City"),
        ("the state of Georgia", "America/New_York"), ("Georgia, the country", "Asia/Tbilisi"),
        ("the city of washington", "America/New_York"), ("washington the state", "America/Los_Angeles"),
        ("eastern standard time", "America/New_York"),
    ],
)  # fmt: skip
def test_places_are_understood(place: str, zone: str) -> None:
    assert offset(place) == SUMMER.astimezone(ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize(
    ("said", "hours"),
    [
        ("UTC+2", 2), ("utc +2", 2), ("GMT-5", -5), ("UTC\u22123", -3), ("UTC+5:30", 5.5), ("utc+0545", 5.75),
        ("utc plus two", 2), ("GMT minus eleven hours", -11), ("+14", 14), ("UTC+00:00", 0),
    ],
)  # fmt: skip
def test_offsets_are_understood(said: str, hours: float) -> None:
    assert offset(said) == timedelta(hours=hours)


TABLE = Path(pipecatapp.tools.__file__).with_name("places.tsv").read_text(encoding="utf-8").splitlines()
CITIES = [line.split("\t") for line in TABLE if line.startswith(("city", "capital"))][:600]


@pytest.mark.parametrize(("name", "code", "zone"), [(row[1], row[2], row[4]) for row in CITIES])
def test_the_largest_cities_are_known_with_and_without_accents(name: str, code: str, zone: str) -> None:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).lower()
    for said in (name, plain):
        found = find_zone(said, SUMMER)
        if isinstance(found, Unclear):
            assert any(name in choice or plain in choice.lower() for choice in found.choices)
        else:
            assert isinstance(found, Found)
            # A larger place of that name may be meant.
            bigger = any(row[1] == name and row[2] != code for row in CITIES)
            assert bigger or SUMMER.astimezone(found.zone).utcoffset() == SUMMER.astimezone(ZoneInfo(zone)).utcoffset()


def test_every_state_of_the_usa_has_a_time_or_is_asked_about() -> None:
    states = [line.split("\t")[1] for line in TABLE if line.startswith("state")]
    assert len(states) == 51
    for state in states:
        assert find_zone(state.lower(), SUMMER) is not None, state


@pytest.mark.parametrize(
    ("place", "question"),
    [
        ("USA", "Which part of the United States: New York City, Chicago, Los Angeles or Phoenix?"),
        ("america", "Which part of the United States: New York City, Chicago, Los Angeles or Phoenix?"),
        ("Brazil", "Which part of Brazil: São Paulo, Manaus or Rio Branco?"),
        ("Tennessee", "Which part of Tennessee: Nashville or Knoxville?"),
        ("Georgia", "Which Georgia: Georgia, the country or the state of Georgia?"),
        ("washington", "Which Washington: the state of Washington or Washington in the District of Columbia?"),
        ("Valencia", "Which Valencia: Valencia in Venezuela or Valencia in Spain?"),
        ("saint louis", "Which Saint Louis: St. Louis in Missouri or Saint-Louis in Senegal?"),
        ("San Jose", "Which San Jose: San José in Costa Rica or San Jose in California?"),
    ],
)
async def test_what_is_unclear_is_asked(place: str, question: str) -> None:
    assert (await say(place)).endswith(question)


def test_whether_it_is_unclear_depends_on_the_season() -> None:
    winter = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert offset("Arizona", winter) == offset("Denver", winter)
    assert offset("Arizona") != offset("Denver")


@pytest.mark.parametrize(
    "place",
    ["Narnia", "utc+99", "utc plus banana", "../etc/passwd", "East", "x" * 5000, "/", "Etc/Nothing", " in "],
)
async def test_an_unknown_place_is_said(place: str) -> None:
    with pytest.raises(ToolError, match="do not know the time zone"):
        await say(place)


@pytest.mark.parametrize("place", ["a " * 50_000, ", " * 50_000, "st " * 30_000, "\u0301" * 100_000, "time " * 20_000])
def test_a_long_text_is_answered_at_once(place: str) -> None:
    assert find_zone(place, SUMMER) is None


# --- whose time is it


def pc(zone: str) -> Clock:
    """A clock on a PC that was set to this zone."""
    return Clock(lambda wanted: datetime(2026, 11, 20, 9, 5, tzinfo=UTC).astimezone(wanted or ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("zone_of_pc", "zone_of_browser", "time"),
    [
        ("Etc/UTC", "Europe/Berlin", "10:05"),  # nobody ever told the PC where it is
        ("UTC", "Europe/Berlin", "10:05"),
        ("Europe/London", "Europe/Berlin", "09:05"),  # 0 hours from UTC, and meant so
        ("America/New_York", "Europe/Berlin", "04:05"),
        ("Etc/UTC", "", "09:05"),
        ("Etc/UTC", "Mars/Olympus", "09:05"),
        ("Etc/UTC", "../../etc/passwd", "09:05"),
    ],
)
async def test_a_pc_without_a_zone_tells_the_time_of_the_browser(
    zone_of_pc: str, zone_of_browser: str, time: str
) -> None:
    result = await pc(zone_of_pc).run({}, ToolContext("c", "t", zone=zone_of_browser))
    assert result.text.startswith(f"It is {time} on")
