"""Which forms of an English word meet, so that a fact is found by the words of a question."""

from __future__ import annotations

import pytest

from pipecatapp.languages.en.stems import stem

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "forms",
    [
        ("visit", "visits", "visited", "visiting"),
        ("go", "goes", "went", "going", "gone"),
        ("buy", "bought", "buying"),
        ("child", "children"),
        ("person", "people"),
    ],
)
def test_the_forms_of_a_word_meet(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize(("one", "other"), [("left", "leave"), ("found", "find"), ("lives", "life")])
def test_words_that_may_be_others_stay_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)
