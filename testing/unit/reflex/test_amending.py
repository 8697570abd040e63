"""What stays of the old value when a new one is said: the day or the time of it, its unit."""

from __future__ import annotations

import pytest

from pipecatapp.reflex.amending import amend

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "old", "new", "meant"),
    [
        ("when", "wednesday at seven", "Thursday", "at seven Thursday"),
        ("when", "tomorrow at seven", "eight", "tomorrow eight"),
        ("when", "tomorrow at seven", "at half past eight", "tomorrow at half past eight"),
        ("when", "tomorrow morning at seven", "eight", "tomorrow morning eight"),
        ("when", "tomorrow at seven", "in the evening", "tomorrow at seven in the evening"),
        ("when", "seven in the morning", "in the evening", "seven in the evening"),
        ("when", "every weekday at seven", "at six", "every weekday at six"),
        ("when", "every monday at nine", "every tuesday", "at nine every tuesday"),
        ("when", "friday at noon", "saturday at one", "saturday at one"),
        ("when", "in ten minutes", "in twenty minutes", "in twenty minutes"),
        ("when", "seven", "eight", "eight"),
        ("when", "tomorrow", "thursday", "thursday"),
        ("duration", "ten minutes", "twenty minutes", "twenty minutes"),
        ("duration", "ten minutes", "twenty", "twenty minutes"),
        ("duration", "ten seconds", "fifty", "fifty seconds"),
        ("duration", "an hour", "two", "two hour"),
        ("duration", "5 min", "15", "15 min"),
        ("duration", "ten seconds", "an hour", "an hour"),
        ("change", "five minutes more", "ten", "ten minutes more"),
        ("change", "five seconds less", "ten", "ten seconds less"),
        ("change", "five minutes more", "ten minutes less", "ten minutes less"),
        ("item", "milk", "oat milk", "oat milk"),
    ],
)
def test_what_is_put_right_keeps_the_rest(name: str, old: str, new: str, meant: str) -> None:
    assert amend({name: old, "other": "stays"}, {name: new}) == {name: meant, "other": "stays"}


@pytest.mark.parametrize("words", ["a " * 50_000, "at " * 50_000, "seven " * 50_000])
def test_long_words_take_no_time_to_speak_of(words: str) -> None:
    amend({"when": words[:300], "duration": words[:300]}, {"when": "Thursday", "duration": "ten"})
