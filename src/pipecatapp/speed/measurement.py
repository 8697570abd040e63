"""What one benchmark of one model on one PC (or one expert's PCs) found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipecatapp.machine import CpuClass

# Tokens of prompt at which it is measured.
LENGTHS = (128, 1024, 4096)

EngineName = Literal["plain", "rpc", "ring"]
Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]


class Measurement(BaseModel):
    """One row of the results; it goes over the network, so what is not understood is refused where it is read.

    Attributes:
        node: the PC, or of an expert the one that serves.
        machines: how many PCs computed.
        cpu, cores, ram_mb: of the node.
        build: which build of the engine.
        bytes_per_token: what is read from memory for each token.
        prompt: tokens a second of a prompt, by its length.
        generated: tokens a second that are written behind a prompt of that length.
        load_s: from the start of the engine to its first token; 0: it ran already.
        engine_mb: memory that the engine took at most; 0: nobody knows.
        joules_per_token: of the processor, for a token that is written; None: it does not say.
        at: when.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Text
    quantization: Text
    engine: EngineName
    build: Text
    node: Text
    machines: Annotated[int, Field(ge=1)] = 1
    cpu: CpuClass
    cores: int = Field(ge=1)
    ram_mb: int = Field(ge=0)
    size: int = Field(ge=0)
    bytes_per_token: int = Field(ge=0)
    prompt: Mapping[int, Speed]
    generated: Mapping[int, Speed]
    load_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    engine_mb: Annotated[int, Field(ge=0)] = 0
    joules_per_token: Speed | None = None
    at: datetime

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second behind a short prompt; 0 where nothing was measured."""
        return self.generated[min(self.generated)] if self.generated else 0.0
