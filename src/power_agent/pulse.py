"""By what the pulse of an expert's supervisor is known: it asks the engine for a token every few seconds, for nobody.

The supervisor may not mark its packets (that wants a right that it has not). It asks from an address that only programs
of the same machine can have, and with a seed that the engine shows in its slots. Both also stand in
``pipecatapp.expert_host.liveness``.
"""

from __future__ import annotations

from collections.abc import Mapping

ADDRESS = "127.0.0.73"
SEED = 0x50574D41


def of_the_pulse(slot: Mapping[str, object]) -> bool:
    """Whether the last request of a llama-server's slot was the pulse's."""
    asked = slot.get("params")
    return isinstance(asked, Mapping) and asked.get("seed") == SEED
