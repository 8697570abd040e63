"""Machines and models of an expert as its ranks tell of them, in round figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipecatapp.expert_host.facts import HeldModel, NodeFacts
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, ModelWish
from pipecatapp.llm.weights import ModelWeights
from pipecatapp.machine import CpuClass

MB = 1 << 20
ALL_BUILDS = {EngineKind.PLAIN: "llama 1", EngineKind.RPC: "rpc 1", EngineKind.RING: "prima 1"}


def weights(size_mb: int, *, layers: int = 40, architecture: str = "llama", active: float = 0.0) -> ModelWeights:
    """A model of so many MB, a twentieth of them outside its layers; ``active``: the part that a mixture reads."""
    output = size_mb * MB // 40
    body = size_mb * MB - 2 * output
    return ModelWeights(
        architecture=architecture,
        size=size_mb * MB,
        layer_bytes=(body // layers,) * layers,
        input_bytes=output,
        output_bytes=output,
        bytes_per_token=int(body * (active or 1)) + output,
        kv_bytes_per_token=100_000,
        experts=128 if active else 0,
        context_tokens=32_768,
    )


def node(name: str, free_mb: int, *models: tuple[str, ModelWeights], **facts: Any) -> NodeFacts:
    """A machine with these models on its disk."""
    held = {model: HeldModel(sums={f"{model}.gguf": "a" * 64}, weights=of) for model, of in models}
    values: dict[str, Any] = {
        "cpu": CpuClass.AVX2,
        "cores": 4,
        "programs": ALL_BUILDS,
        "models": held,
        "disk_mb_s": 2500.0,
    }
    return NodeFacts(name=name, free_mb=free_mb, **values | facts)


def expert(*models: str, **spec: Any) -> ExpertSpec:
    """An expert of three machines that wishes these models."""
    values: dict[str, Any] = {
        "job_name": "creative-expert",
        "service_name": "prima-api-creative",
        "worker_count": 3,
        "models": tuple(ModelWish(name=name, file=f"{name}.gguf") for name in models),
        "models_dir": Path("/models"),
        "context": 2048,
        "reserve_mb": 1000,
        "api_key_file": Path("/key"),
    }
    return ExpertSpec(**values | spec)
