"""How the layers of a model are laid over machines, by the memory that each has free."""

from __future__ import annotations

from collections.abc import Sequence


def spread(layers: Sequence[int], rooms: Sequence[int]) -> list[int] | None:
    """How many layers each machine takes, in their order, so that all are as full as each other and none too full.

    Args:
        layers: bytes of each layer, its cache among them.
        rooms: bytes that each machine has for layers.

    Returns:
        The counts; None where the layers do not fit.
    """
    for counts in (_proportional(layers, rooms), _in_turn(layers, rooms)):
        if counts is not None and _fits(layers, rooms, counts):
            return counts
    return None


def windows(layers: int, rooms: Sequence[int]) -> list[int]:
    """Layers of each rank of a ring, proportional to its memory and at least one: what does not fit is read from disk.

    Raises:
        ValueError: there are more ranks than layers.
    """
    if len(rooms) > layers:
        raise ValueError(f"{layers} layers are too few for {len(rooms)} ranks")
    total = max(1, sum(rooms))
    exact = [layers * room / total for room in rooms]
    counts = [max(1, int(share)) for share in exact]
    # The rest goes to those that it makes the least too full; what the ones cost is taken from the fullest.
    while sum(counts) != layers:
        step = 1 if sum(counts) < layers else -1
        who = [i for i in range(len(rooms)) if step > 0 or counts[i] > 1]
        counts[max(who, key=lambda i: (exact[i] - counts[i]) * step)] += step
    return counts


def _proportional(layers: Sequence[int], rooms: Sequence[int]) -> list[int] | None:
    total, room = sum(layers), sum(rooms)
    if room <= 0:
        return None
    counts, machine, seen = [0] * len(rooms), 0, 0
    border = total * rooms[0] / room
    for size in layers:
        # A layer lies where its middle does.
        while seen + size / 2 > border and machine < len(rooms) - 1:
            machine += 1
            border += total * rooms[machine] / room
        counts[machine] += 1
        seen += size
    return counts


def _in_turn(layers: Sequence[int], rooms: Sequence[int]) -> list[int] | None:
    counts, machine, left = [0] * len(rooms), 0, rooms[0] if rooms else 0
    for size in layers:
        while size > left:
            machine += 1
            if machine >= len(rooms):
                return None
            left = rooms[machine]
        counts[machine] += 1
        left -= size
    return counts


def _fits(layers: Sequence[int], rooms: Sequence[int], counts: Sequence[int]) -> bool:
    first = 0
    for room, count in zip(rooms, counts, strict=True):
        if sum(layers[first : first + count]) > max(0, room):
            return False
        first += count
    return first == len(layers)
