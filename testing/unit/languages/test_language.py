"""Every language fills the whole interface; what is peculiar to English holds."""

from __future__ import annotations

from dataclasses import fields
from re import Pattern

import pytest

from pipecatapp.languages import LANGUAGES, language
from pipecatapp.languages.language import Language

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_is_whole_and_in_lower_case(code: str) -> None:
    found = language(code)
    assert isinstance(found, Language)
    assert found.code == code
    assert len(found.numbers.small) == 13
    assert len(found.numbers.months) == 12
    assert found.everyday.is_file()
    for group in (found.stop_words, found.speech):
        for field in fields(group):
            words = getattr(group, field.name)
            assert words
            assert isinstance(words, Pattern) or all(word == word.casefold() for word in words)
    assert {"remember", "forget", "question"} <= {field.name for field in fields(found.memory_requests)}
    assert "text" in found.memory_requests.remember.groupindex
    assert {"subject", "value"} <= set(found.statements.subject.groupindex)
    assert all({"old", "new"} <= set(pattern.groupindex) for pattern in found.statements.exchanges)


def test_a_language_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        language("xx")


@pytest.mark.parametrize("token", ["Dr.", "St.", "e.g.", "U.S.", "J.", "p.m.", "Sept."])
def test_no_sentence_ends_with_an_abbreviation(token: str) -> None:
    assert language().is_abbreviation(token)


@pytest.mark.parametrize("token", ["I.", "home.", "Dr", "", ".", "street.", "3."])
def test_a_sentence_ends_with_these(token: str) -> None:
    assert not language().is_abbreviation(token)


@pytest.mark.parametrize("sentence", ["I will look it up.", "Sure!", "Okay, let me see.", "Checking the clock."])
def test_a_sentence_that_announces_what_is_done(sentence: str) -> None:
    assert language("en").speech.announcing.match(sentence)


@pytest.mark.parametrize("sentence", ["For instance, this works.", "It is easy.", "I could show an example."])
def test_a_sentence_that_explains_announces_nothing(sentence: str) -> None:
    assert language("en").speech.announcing.match(sentence) is None
