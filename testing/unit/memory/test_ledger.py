"""What records add up to."""

from __future__ import annotations

import pytest

from pipecatapp.memory.ledger import Ledger, same_words
from pipecatapp.memory.records import FactAdded, Forgotten, Merged, Record, StoredFact

pytestmark = pytest.mark.unit


def fact(number: int, text: str = "", supersedes: tuple[int, ...] = ()) -> FactAdded:
    return FactAdded(
        StoredFact(number, text or f"fact {number}", "note", "t", 1.0, last_seen=1.0, supersedes=supersedes)
    )


def ledger(*records: Record) -> Ledger:
    result = Ledger()
    for record in records:
        result.apply(record)
    return result


def live(book: Ledger) -> list[int]:
    return [fact.id for fact in book.facts()]


def test_a_correction_replaces_and_keeps_the_old_one_as_history() -> None:
    book = ledger(fact(1, "it is Wednesday"), fact(2, "it is Thursday", (1,)), fact(3, "it is Friday", (2,)))

    assert live(book) == [3]
    assert len(book) == 1
    assert [old.text for old in book.history(3)] == ["it is Thursday", "it is Wednesday"]


def test_forgetting_takes_the_history_along() -> None:
    book = ledger(fact(1), fact(2, supersedes=(1,)), fact(3), Forgotten((2,), 5.0))

    assert live(book) == [3]
    assert [fact.id for fact in book.everything()] == [3]


def test_saying_it_again_is_counted() -> None:
    book = ledger(fact(1), Merged(1, (), 9.0))

    again = book.get(1)
    assert again is not None
    assert (again.seen, again.last_seen) == (2, 9.0)


def test_merged_facts_become_history() -> None:
    book = ledger(fact(1), fact(2), fact(3), Merged(1, (2, 3, 1, 99), 9.0))

    assert live(book) == [1]
    assert [old.id for old in book.history(1)] == [3, 2]


def test_a_compacted_file_may_name_the_newer_fact_first() -> None:
    merged_into_older = StoredFact(1, "fact 1", "note", "t", 1.0, supersedes=(2,))

    book = ledger(FactAdded(merged_into_older), fact(2))

    assert live(book) == [1]
    assert len(book) == 1


@pytest.mark.parametrize("record", [Forgotten((9,), 1.0), Merged(9, (1,), 1.0)])
def test_a_record_of_an_unknown_fact_changes_nothing(record: Record) -> None:
    assert live(ledger(fact(1), record)) == [1]


def test_the_same_words_are_the_same_fact() -> None:
    book = ledger(fact(1, "The café opens on Thursday."))

    found = book.same_as("the Cafe opens on thursday")
    assert found is not None
    assert found.id == 1
    assert book.same_as("The café opens on Friday.") is None


@pytest.mark.parametrize("gone", [Forgotten((1,), 1.0), fact(2, "something else", (1,))])
def test_what_was_forgotten_or_corrected_can_be_said_anew(gone: Record) -> None:
    assert ledger(fact(1, "it rains"), gone).same_as("it rains") is None


def test_word_order_makes_two_facts() -> None:
    assert same_words("Anna likes Bob") != same_words("Bob likes Anna")
