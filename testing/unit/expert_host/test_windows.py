"""Layers are laid over machines by the memory that each has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.expert_host.windows import spread, windows

pytestmark = pytest.mark.unit

SIZES = st.lists(st.integers(1, 100), min_size=1, max_size=40)
ROOMS = st.lists(st.integers(0, 2000), min_size=1, max_size=6)


def test_who_has_twice_the_memory_takes_twice_the_layers() -> None:
    assert spread([10] * 30, [400, 200, 300]) == [13, 7, 10]


def test_what_fits_only_when_filled_to_the_brim_still_fits() -> None:
    # In proportion the second would take two of the large ones.
    assert spread([10, 10, 10, 60, 60], [85, 60]) is None
    assert spread([60, 10, 10, 60], [80, 60]) == [3, 1]


def test_a_machine_without_memory_takes_none() -> None:
    assert spread([10] * 4, [100, 0, 100]) == [2, 0, 2]


@given(SIZES, ROOMS)
def test_no_machine_gets_more_than_it_has(layers: list[int], rooms: list[int]) -> None:
    counts = spread(layers, rooms)
    if counts is None:
        assert sum(layers) > sum(rooms) - len(rooms) * max(layers), "it gave up where there was room for all"
        return
    assert sum(counts) == len(layers)
    first = 0
    for room, count in zip(rooms, counts, strict=True):
        assert sum(layers[first : first + count]) <= room
        first += count


@given(st.integers(6, 90), st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_every_rank_of_a_ring_gets_a_layer_and_all_are_given(layers: int, rooms: list[int]) -> None:
    counts = windows(layers, rooms)
    assert sum(counts) == layers
    assert min(counts) >= 1
    assert all(counts[a] >= counts[b] - 1 for a in range(len(rooms)) for b in range(len(rooms)) if rooms[a] > rooms[b])


def test_a_ring_of_more_ranks_than_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        windows(2, [1, 1, 1])
