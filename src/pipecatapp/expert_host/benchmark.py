"""Measures an expert that runs, whatever engine and machines it has: by one stream to the rank that serves."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx

from pipecatapp.errors import EngineError
from pipecatapp.expert_host.part import serving
from pipecatapp.expert_host.spec import ExpertSpec
from pipecatapp.speed.measurement import Measurement
from pipecatapp.speed.one_stream import Say, context_of, measure
from pipecatapp.speed.own_engine import quantization_of


async def measure_expert(spec: ExpertSpec, say: Say, lengths: Sequence[int]) -> Measurement:
    """Ask its running engine; whoever else asks it meanwhile makes it look slower.

    Args:
        spec: the expert.
        say: told what is left out.
        lengths: of the prompts, in tokens.

    Raises:
        ConfigurationError, ConsulUnreachableError, EngineError: as ``serving`` and ``measure``.
    """
    now = await serving(spec)
    facts, wish = now.head.facts, spec.wish(now.plan.model)
    held = next((held for name, held in facts.models.items() if name == now.plan.model), None)
    if wish is None or held is None:
        raise EngineError(f"{facts.name} does not say what {now.plan.model} is made of; deploy the expert again")
    at = f"[{now.host}]" if ":" in now.host else now.host
    async with httpx.AsyncClient(
        base_url=f"http://{at}:{now.port}",
        headers={"Authorization": f"Bearer {now.key}"},
        timeout=httpx.Timeout(None, connect=5.0),
        limits=httpx.Limits(max_keepalive_connections=0),
        trust_env=False,
    ) as http:
        stream = await measure(http, lengths, await context_of(http), say)
    machines = len(now.plan.members)
    # The counters of this processor say nothing about the others.
    alone = machines == 1 and facts.name == socket.gethostname()
    return Measurement(
        model=wish.name,
        quantization=quantization_of(wish.path(spec.models_dir)),
        engine=now.plan.engine.value,
        build=facts.programs.get(now.plan.engine, "")[:12],
        node=facts.name,
        machines=machines,
        cpu=facts.cpu,
        cores=facts.cores,
        ram_mb=0,
        size=held.weights.size,
        bytes_per_token=held.weights.bytes_per_token,
        prompt=stream.prompt,
        generated=stream.generated,
        joules_per_token=stream.joules_per_token if alone else None,
        at=datetime.now(UTC).replace(microsecond=0),
    )
