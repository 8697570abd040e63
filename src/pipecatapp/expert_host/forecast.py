"""How fast a model will be: what is read for one token, by how fast it is read. A forecast; the benchmark measures."""

from __future__ import annotations

from collections.abc import Sequence

from pipecatapp.expert_host.facts import NodeFacts
from pipecatapp.speed.forecast import HOP_S, MEMORY_MB_S

# Where nobody knows: a hard disk, and 100 Mbit/s less what the protocol takes.
DISK_MB_S, LINK_MB_S = 80.0, 10.0


def tokens_per_second(reads: Sequence[tuple[NodeFacts, int, int]]) -> float:
    """The machines work one after the other: their times add up.

    Args:
        reads: of each machine, the bytes that it reads from memory and from disk for one token.
    """
    seconds = sum(
        memory / (MEMORY_MB_S[node.cpu] * 1e6) + disk / (disk_mb_s(node) * 1e6) for node, memory, disk in reads
    )
    return 1 / (seconds + HOP_S * (len(reads) - 1) + 1e-6)


def load_seconds(size: int, disk: NodeFacts, sent: int, links: Sequence[NodeFacts]) -> float:
    """How long a start may take before it counts as failed: three times the reading and sending, and a minute."""
    slowest = min((link_mb_s(node) for node in links), default=LINK_MB_S)
    return 60 + 3 * (size / (disk_mb_s(disk) * 1e6) + sent / (slowest * 1e6))


def disk_mb_s(node: NodeFacts) -> float:
    """What its disk reads."""
    return node.disk_mb_s or DISK_MB_S


def link_mb_s(node: NodeFacts) -> float:
    """What its network carries."""
    return node.link_mbit_s / 10 if node.link_mbit_s > 0 else LINK_MB_S
