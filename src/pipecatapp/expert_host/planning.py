"""Makes of a choice a plan that all ranks can follow: who is where, and how long what may take."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pipecatapp.errors import EngineError
from pipecatapp.expert_host.choice import Choice, Verdict
from pipecatapp.expert_host.facts import Member, Plan, RankState
from pipecatapp.expert_host.forecast import load_seconds
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, Place

# Within so many seconds, and ten times what a token should take, there is a token, or the engine is lost.
TOKEN_WITHIN_S = 20.0


def make_plan(spec: ExpertSpec, place: Place, verdict: Verdict, states: Mapping[int, RankState]) -> Plan:
    """The plan of a choice.

    Args:
        spec: the expert.
        place: who makes it.
        verdict: with a choice.
        states: what the ranks said of themselves, by rank.

    Raises:
        EngineError: there is no choice.
    """
    choice = verdict.choice
    if choice is None:
        raise EngineError(verdict.why)
    members = [_member(share.rank, share.layers, share.bytes, states[share.rank]) for share in choice.shares]
    facts = [states[share.rank].facts for share in choice.shares]
    sent = sum(share.bytes for share in choice.shares[1:]) if choice.engine is EngineKind.RPC else 0
    size = next((held.weights.size for node in facts if (held := node.models.get(choice.model))), 0) or sum(
        share.bytes for share in choice.shares
    )
    wanting = [node for node in facts if choice.model not in node.models]
    fetched = size if wanting and (choice.engine is EngineKind.RING or facts[0] in wanting) else 0
    return Plan(
        generation=secrets.token_hex(6),
        author=place.run,
        model=choice.model,
        engine=choice.engine,
        members=tuple(members),
        context=choice.context,
        load_within_s=load_seconds(size, facts[0], sent + fetched, facts),
        token_within_s=TOKEN_WITHIN_S + 10 / choice.tokens_per_s,
        why=verdict.why,
    )


def preference(spec: ExpertSpec, choice: Choice) -> tuple[int, int]:
    """How far down the list it is: first by model, then by engine. Less is better."""
    models = [wish.name for wish in spec.models]
    return models.index(choice.model), list(EngineKind).index(choice.engine)


def _member(rank: int, layers: int, size: int, state: RankState) -> Member:
    return Member(
        rank=rank,
        run=state.run,
        name=state.facts.name,
        host=state.host,
        data=state.data,
        signal=state.signal,
        layers=layers,
        need_mb=size >> 20,
    )
