"""Results of benchmarks, in round figures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pipecatapp.speed.measurement import Measurement


def measurement(model: str = "other", node: str = "pc1", tokens_per_s: float = 2.0, **values: Any) -> Measurement:
    """A Core 2 with 8 GB that reads 1 GB for each token."""
    told: dict[str, Any] = {
        "model": model,
        "quantization": "Q4_0",
        "engine": "plain",
        "build": "debian-1",
        "node": node,
        "cpu": "core2",
        "cores": 2,
        "ram_mb": 8000,
        "size": 10**9,
        "bytes_per_token": 10**9,
        "prompt": {128: 10.0},
        "generated": {128: tokens_per_s},
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Measurement.model_validate(told | values)
