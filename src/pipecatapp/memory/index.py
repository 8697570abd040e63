"""Finding facts by meaning: the vectors of the facts in FAISS, and the file they are kept in between two starts.

A search has two steps: the signs of 384 projections choose candidates (48 bytes a fact, quick to compare without AVX),
then the candidates' float16 vectors give the exact order. The file ``long_term_memory.faiss`` is an ordinary index of
FAISS with the vectors under the facts' ids, followed by one line that says which model made them and to which
journal they belong. It is a copy: what is missing in it comes back from there.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipecatapp.storage.atomic import remove, replacing
from pipecatapp.storage.records import Vector
from pipecatapp.storage.salvage import set_aside

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

_MAGIC = "pipecatapp-vectors"
_TRAILER_SIZE = 256
_BITS = 384
# Candidates per search: 400 of 100,000 hold the nearest ten but for 1 or 2 in 100 (scripts/bench memory).
_CANDIDATES = 400


def pack(vector: Floats) -> str:
    """The vector as a record holds it."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii")


def unpack(data: str) -> Floats:
    """The vector of a record."""
    return np.frombuffer(base64.b64decode(data), "<f2").astype(np.float32)


class VectorIndex:
    """The vectors of one model. Not safe for use by two threads at once when one of them changes it."""

    def __init__(self, model: str) -> None:
        self.model = model
        # Where each fact stands in both indexes, and back.
        self._place_of: dict[int, int] = {}
        self._ids = np.empty(0, np.int64)
        # Made with the first vector: only then the number of dimensions is known.
        self._named: Any = None
        self._exact: Any = None
        self._signs: Any = None
        self._coarse: Any = None

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, fact_id: int) -> bool:
        return fact_id in self._place_of

    def add(self, ids: Sequence[int], vectors: Floats) -> None:
        """Make facts findable. Vectors are of length 1; those of facts that are there already are ignored."""
        fresh = [place for place, fact_id in enumerate(ids) if fact_id not in self._place_of]
        if not fresh:
            return
        _one_thread()
        if self._exact is None:
            self._create(vectors.shape[1])
        rows = np.ascontiguousarray(vectors[fresh], np.float32)
        added = [ids[place] for place in fresh]
        self._named.add_with_ids(rows, np.array(added, np.int64))
        self._coarse.add(self._signs.sa_encode(rows))
        self._place_of.update(zip(added, range(len(self._ids), len(self._ids) + len(added)), strict=True))
        self._ids = np.concatenate([self._ids, np.array(added, np.int64)])

    def remove(self, ids: Collection[int]) -> None:
        """Let facts no longer be found."""
        import faiss

        gone = [fact_id for fact_id in ids if fact_id in self._place_of]
        if not gone:
            return
        places = self._places(gone)
        self._named.remove_ids(faiss.IDSelectorBatch(np.array(gone, np.int64)))
        self._coarse.remove_ids(faiss.IDSelectorBatch(places))
        self._number(np.delete(self._ids, places))

    def search(self, query: Floats, limit: int) -> list[tuple[int, float]]:
        """The nearest facts and their cosines, the nearest first."""
        ids, cosines = self.near(query, limit)
        return list(zip(ids[:limit].tolist(), cosines[:limit].tolist(), strict=True))

    def near(self, query: Floats, at_least: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """The same as arrays, with all that had to be compared for it."""
        if not len(self._ids):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        _one_thread()
        _, places = self._coarse.search(
            self._signs.sa_encode(query[None, :]), min(max(_CANDIDATES, at_least), len(self._ids))
        )
        chosen = places[0][places[0] >= 0]
        cosines = _products(self._exact.reconstruct_batch(chosen), query)
        order = np.argsort(-cosines, kind="stable")
        return self._ids[chosen[order]], cosines[order]

    def cosines(self, query: Floats, ids: Sequence[int]) -> Floats:
        """The cosines of these facts; 0 for one that has no vector yet."""
        result = np.zeros(len(ids), np.float32)
        known = [number for number, fact_id in enumerate(ids) if fact_id in self._place_of]
        if known:
            places = self._places([ids[number] for number in known])
            result[known] = _products(self._exact.reconstruct_batch(places), query)
        return result

    def vector(self, fact_id: int) -> Vector | None:
        """The fact's vector as a record holds it: exactly the numbers that were added."""
        if fact_id not in self._place_of:
            return None
        row = self._exact.reconstruct(int(self._places([fact_id])[0]))
        return Vector(self.model, pack(row))

    def ids(self) -> Iterator[int]:
        """The facts that have a vector."""
        return iter(self._place_of)

    def save(self, path: Path, book: str) -> None:
        """Replace the file by these vectors, which belong to the facts of ``book``. Raises OSError.

        The caller sees to it that nothing changes meanwhile; searches may go on.
        """
        if self._exact is None:
            remove(path)  # of another model, and perhaps of facts that are forgotten
            return
        import faiss

        with replacing(path) as output:
            writer = _Writer(output)
            faiss.write_index(self._named, faiss.PyCallbackIOWriter(writer.write))
            writer.flush()
            output.write(_trailer(_Label(self.model, book), writer.size, writer.checksum))

    def load(self, path: Path, book: str, now: float) -> str | None:
        """Take the vectors of a file, when it is of this book and model; a notice when it had to be set aside.

        Raises OSError.
        """
        import faiss

        if not os.path.lexists(path):
            return None
        try:
            label = _read_label(path)
            if label.book != book:
                raise _ForeignError("it belongs to other facts")
            if label.model != self.model:
                return None
            named = faiss.read_index(faiss.PyCallbackIOReader(_Reader(path).read))
            self._adopt(named)
        except (_ForeignError, IsADirectoryError, RuntimeError) as error:
            aside = set_aside(path, "unreadable", now)
            return f"{path.name} is not the index of this memory ({error}); it is kept as {aside.name} and built anew"
        return None

    def _adopt(self, named: Any) -> None:
        import faiss

        if not isinstance(named, faiss.IndexIDMap):
            raise _ForeignError(f"unexpected kind {type(named).__name__}")
        exact = faiss.downcast_index(named.index)
        if not isinstance(exact, faiss.IndexScalarQuantizer):
            raise _ForeignError(f"unexpected kind {type(exact).__name__}")
        _one_thread()
        self._create(exact.d)
        self._named, self._exact = named, exact
        for start in range(0, exact.ntotal, 4096):
            rows = exact.reconstruct_n(start, min(4096, exact.ntotal - start))
            self._coarse.add(self._signs.sa_encode(rows))
        self._number(faiss.vector_to_array(named.id_map).copy())

    def _create(self, dimensions: int) -> None:
        import faiss

        self._exact = faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._named = faiss.IndexIDMap(self._exact)
        self._signs = faiss.IndexLSH(dimensions, _BITS, True)
        # No threshold is learnt; the call sets the random rotation up, the same at every start.
        self._signs.train(np.zeros((1, dimensions), np.float32))
        self._coarse = faiss.IndexBinaryFlat(_BITS)
        # Counting the distances beats sorting them: a third less time for so many candidates.
        self._coarse.use_heap = False

    def _number(self, ids: npt.NDArray[np.int64]) -> None:
        self._ids = ids
        self._place_of = {int(fact_id): place for place, fact_id in enumerate(ids)}

    def _places(self, ids: Sequence[int]) -> npt.NDArray[np.int64]:
        return np.array([self._place_of[fact_id] for fact_id in ids], np.int64)


def _one_thread() -> None:
    """Let the calling thread work alone: a second one would only wait in loops while the engine wants the core."""
    import faiss

    # OpenMP keeps this number for each thread that calls.
    faiss.omp_set_num_threads(1)


def _products(rows: Floats, query: Floats) -> Floats:
    """The dot product of each row with the query, without BLAS and its threads."""
    products: Floats = np.einsum("ij,j->i", rows, query)
    return products


class _ForeignError(Exception):
    """The file is not what we write."""


@dataclass(frozen=True, slots=True)
class _Label:
    model: str
    book: str


def _trailer(label: _Label, size: int, checksum: int) -> bytes:
    text = json.dumps({"format": _MAGIC, "model": label.model, "book": label.book, "size": size, "crc": checksum})
    return text.encode().rjust(_TRAILER_SIZE - 1) + b"\n"


def _read_label(path: Path) -> _Label:
    """Read the whole file once: FAISS must never see bytes that are not exactly what it wrote."""
    tail, size, checksum = b"", 0, 0
    for chunk in _chunks(path):
        tail += chunk
        ready, tail = tail[:-_TRAILER_SIZE], tail[-_TRAILER_SIZE:]
        checksum = zlib.crc32(ready, checksum)
        size += len(ready)
    try:
        label = json.loads(tail)
    except ValueError:
        raise _ForeignError("it does not end in our label") from None
    if not isinstance(label, dict) or label.get("format") != _MAGIC:
        raise _ForeignError("it does not end in our label")
    if (label.get("size"), label.get("crc")) != (size, checksum):
        raise _ForeignError("its checksum does not match")
    return _Label(str(label.get("model")), str(label.get("book")))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            yield chunk


class _Writer:
    """Hands FAISS's many small writes on in large ones, and adds up their checksum."""

    def __init__(self, output: IO[bytes]) -> None:
        self.size = self.checksum = 0
        self._output, self._pending, self._waiting = output, [b""], 0

    def write(self, data: bytes) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        if self._waiting >= 1 << 20:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self._pending)
        self._pending, self._waiting = [], 0
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self._output.write(data)


class _Reader:
    """Gives FAISS exactly as many bytes as it asks for."""

    def __init__(self, path: Path) -> None:
        self._chunks = _chunks(path)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:size])
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)
