"""The vector index with the real FAISS: the order is exact, the file belongs to its facts."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from pipecatapp.memory.index import Floats, VectorIndex, pack, unpack

pytestmark = pytest.mark.integration


def vectors(count: int, seed: int = 0) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    normal: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unpack_all(normal)


def unpack_all(rows: Floats) -> Floats:
    return np.stack([unpack(pack(row)) for row in rows])


def filled(count: int = 1000) -> tuple[VectorIndex, Floats]:
    index, rows = VectorIndex("m"), vectors(count)
    index.add(range(10, count + 10), rows)
    return index, rows


def test_the_nearest_come_in_exact_order_with_their_cosines() -> None:
    index, rows = filled()
    query = rows[3] + 0.8 * rows[7]
    query /= np.linalg.norm(query)

    found = index.search(query, 2)

    assert [fact_id for fact_id, _ in found] == [13, 17]
    assert [score for _, score in found] == pytest.approx([float(rows[3] @ query), float(rows[7] @ query)], abs=1e-5)
    assert index.cosines(query, [17, 5000, 13]) == pytest.approx([rows[7] @ query, 0.0, rows[3] @ query], abs=1e-5)


def test_the_coarse_step_loses_few_of_the_nearest() -> None:
    index, rows = filled(5000)
    queries = vectors(50, seed=1) * 0.5 + rows[:50]

    found = sum(
        len({fact_id - 10 for fact_id, _ in index.search(query, 10)} & set(np.argsort(-(rows @ query))[:10].tolist()))
        for query in queries
    )

    assert found >= 0.9 * 500


def test_removed_facts_are_gone_and_the_others_stay_where_they_are() -> None:
    index, rows = filled()
    index.remove([10, 13, 1009, 4444])

    assert index.search(rows[3], 1)[0][0] != 13
    assert index.search(rows[4], 1)[0][0] == 14
    assert 13 not in index
    assert len(index) == 997
    index.add([13], rows[3:4])
    assert index.search(rows[3], 1)[0][0] == 13


def test_a_vector_comes_back_bit_for_bit() -> None:
    index, rows = filled(20)

    vector = index.vector(15)

    assert vector is not None
    assert vector.model == "m"
    assert np.array_equal(unpack(vector.data), rows[5])
    assert index.vector(99) is None


def test_an_empty_index_finds_nothing() -> None:
    index = VectorIndex("m")

    assert index.search(vectors(1)[0], 3) == []
    assert list(index.cosines(vectors(1)[0], [1])) == [0.0]


def test_the_file_is_a_faiss_index_and_loads_again(tmp_path: Path) -> None:
    index, rows = filled(300)
    index.remove([20])
    path = tmp_path / "long_term_memory.faiss"
    index.save(path, "book")

    loaded = VectorIndex("m")
    assert loaded.load(path, "book", 0.0) is None

    assert loaded.search(rows[7], 5) == index.search(rows[7], 5)
    assert sorted(loaded.ids()) == sorted(index.ids())
    assert faiss.read_index(str(path)).ntotal == 299
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    loaded.remove([17])
    loaded.add([900], rows[7:8])
    assert loaded.search(rows[7], 1)[0][0] == 900


def test_the_vectors_of_another_model_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    filled(10)[0].save(path, "book")

    other = VectorIndex("another model")

    assert other.load(path, "book", 0.0) is None
    assert len(other) == 0
    assert path.exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty", "folder", "bare", "other book"])
def test_a_file_that_is_not_ours_is_set_aside_and_never_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index.faiss"
    index, _ = filled(50)
    index.save(path, "other" if damage == "other book" else "book")
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-900]
    elif damage == "flipped":
        content[2000] ^= 0x10
    elif damage == "foreign":
        content = bytearray(b"\x7fELF and so on")
    elif damage == "empty":
        content = bytearray()
    elif damage == "bare":
        content = content[:-256]
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(content)

    loaded = VectorIndex("m")
    notice = loaded.load(path, "book", 0.0)

    assert len(loaded) == 0
    assert notice is not None
    (aside,) = tmp_path.iterdir()
    assert aside.name == "index.faiss.unreadable-19700101T000000Z"
    assert aside.name in notice
    assert aside.is_dir() or aside.read_bytes() == bytes(content)
