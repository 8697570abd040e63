"""What records add up to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipecatapp.storage.database import Database
from pipecatapp.storage.fact_table import FactTable, same_words
from pipecatapp.storage.records import FactAdded, Forgotten, Merged, Record, StoredFact, Vector, to_body

pytestmark = pytest.mark.unit

TABLE = FactTable()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "facts.db")
    for sql in (*TABLE.tables.values(), *TABLE.indexes):
        database.execute(sql)
    yield database
    database.close()


def fact(number: int, text: str = "", supersedes: tuple[int, ...] = ()) -> FactAdded:
    return FactAdded(
        StoredFact(number, text or f"fact {number}", "note", "t", 1.0, last_seen=1.0, supersedes=supersedes)
    )


def happen(database: Database, *records: Record) -> None:
    TABLE.apply(database, {"records": [to_body(record) for record in records]})


def live(database: Database) -> list[int]:
    return [fact.id for fact in TABLE.live(database)]


def test_a_correction_replaces_and_keeps_the_old_one_as_history(database: Database) -> None:
    happen(database, fact(1, "it is Wednesday"), fact(2, "it is Thursday", (1,)), fact(3, "it is Friday", (2,)))

    assert live(database) == [3]
    assert [old.text for old in TABLE.history(database, 3)] == ["it is Thursday", "it is Wednesday"]


@pytest.mark.parametrize("how", ["record", "erasure"])
def test_forgetting_takes_the_history_and_the_vectors_along(database: Database, how: str) -> None:
    happen(database, fact(1), fact(2, supersedes=(1,)), fact(3))
    TABLE.put_vectors(database, {1: Vector("m", "AAAA"), 2: Vector("m", "AAAA"), 3: Vector("m", "AAAA")})

    if how == "record":
        happen(database, Forgotten((2,), 5.0))
    else:
        TABLE.apply(database, {"erase": ["2", "77"]})

    assert live(database) == [3]
    assert [fact.id for fact in TABLE.everything(database)] == [3]
    assert TABLE.with_vector(database, "m") == [3]


def test_saying_it_again_is_counted(database: Database) -> None:
    happen(database, fact(1), Merged(1, (), 9.0))

    again = TABLE.get(database, 1)
    assert again is not None
    assert (again.seen, again.last_seen) == (2, 9.0)


def test_merged_facts_become_history(database: Database) -> None:
    happen(database, fact(1), fact(2), fact(3), Merged(1, (2, 3, 1, 99), 9.0))

    assert live(database) == [1]
    assert [old.id for old in TABLE.history(database, 1)] == [3, 2]


def test_a_snapshot_may_name_the_newer_fact_first(database: Database) -> None:
    merged_into_older = StoredFact(1, "fact 1", "note", "t", 1.0, supersedes=(2,))

    happen(database, FactAdded(merged_into_older), fact(2))

    assert live(database) == [1]


@pytest.mark.parametrize("record", [Forgotten((9,), 1.0), Merged(9, (1,), 1.0)])
def test_a_record_of_an_unknown_fact_changes_nothing(database: Database, record: Record) -> None:
    happen(database, fact(1), record)
    assert live(database) == [1]


def test_the_same_words_are_the_same_fact(database: Database) -> None:
    happen(database, fact(1, "The café opens on Thursday."))

    found = TABLE.same_as(database, "the Cafe opens on thursday")
    assert found is not None
    assert found.id == 1
    assert TABLE.same_as(database, "The café opens on Friday.") is None


@pytest.mark.parametrize("gone", [Forgotten((1,), 1.0), fact(2, "something else", (1,))])
def test_what_was_forgotten_or_corrected_can_be_said_anew(database: Database, gone: Record) -> None:
    happen(database, fact(1, "it rains"), gone)
    assert TABLE.same_as(database, "it rains") is None


def test_an_id_is_never_given_twice(database: Database) -> None:
    assert TABLE.next_id(database) == 1
    TABLE.apply(database, {"next": 40})
    happen(database, fact(41), fact(42), Forgotten((42,), 1.0))
    TABLE.apply(database, {"next": 7})
    assert TABLE.next_id(database) == 43
    TABLE.apply(database, {"all": [], "next": 43})
    assert (live(database), TABLE.next_id(database)) == ([], 43)


def test_a_snapshot_makes_the_same_table(database: Database, tmp_path: Path) -> None:
    happen(database, fact(1), fact(2, supersedes=(1,)), fact(5), Merged(2, (5,), 3.0), fact(9), Forgotten((9,), 1.0))
    other = Database(tmp_path / "other.db")
    for sql in (*TABLE.tables.values(), *TABLE.indexes):
        other.execute(sql)

    for body in TABLE.snapshot(database):
        TABLE.apply(other, body)

    assert list(TABLE.everything(other)) == list(TABLE.everything(database))
    assert (live(other), TABLE.next_id(other)) == (live(database), 10)
    other.close()


def test_word_order_makes_two_facts() -> None:
    assert same_words("Anna likes Bob") != same_words("Bob likes Anna")
