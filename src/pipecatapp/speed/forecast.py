"""How fast a model will be: what is read for one token, by how fast it is read. A forecast; the benchmark measures.

What a PC was measured with says how fast it reads; of a PC that nobody measured only the age of its processor is known.
Each forecast says within which bounds it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from pipecatapp.llm.catalogue import RAM_SHARE, Model, Variant
from pipecatapp.machine import CpuClass, Machine
from pipecatapp.speed.measurement import Measurement

# MB a second that an engine really gets out of the memory of such a PC, two channels of what was sold with it.
MEMORY_MB_S = {
    CpuClass.CORE2: 4_000,
    CpuClass.PENRYN: 5_000,
    CpuClass.NEHALEM: 9_000,
    CpuClass.AVX: 13_000,
    CpuClass.AVX2: 20_000,
    CpuClass.AVX512: 28_000,
}
# Seconds for the numbers of one token from machine to machine and back, over a switch.
HOP_S = 0.001
# Below AVX2 the engine computes slower than the memory delivers, but for Q4_0: measured on Core 2's instructions, 8.3
# tokens a second with Q4_K_M where Q4_0 makes 40.5, and 22.6 with Q8_0, which reads twice as much.
_SLOWED = {"Q4_0": 1.0, "Q8_0": 1.0}
_SLOWED_OTHERWISE = 0.2
# Smaller models lie in the processor's own cache and say nothing about the memory.
_SMALLEST = 100_000_000
# The bounds: by the age of the processor alone, and by another model that was measured on the same PC.
BY_CLASS, BY_PC = 2.0, 1.4

Basis = Literal["measured", "by_pc", "by_class"]


@dataclass(frozen=True, slots=True)
class Pc:
    """One PC of the house.

    Attributes:
        mb_s: what it reads in a second with weights of each quantization, as was measured.
    """

    name: str
    cpu: CpuClass
    ram_mb: int
    mb_s: dict[str, float]

    def reads(self, quantization: str) -> tuple[float, float]:
        """MB a second that it reads of such weights, and the factor of what that may be wrong by, either way."""
        if quantization in self.mb_s:
            return self.mb_s[quantization], BY_PC
        slowed = 1.0 if self.cpu.at_least(CpuClass.AVX2) else _SLOWED.get(quantization, _SLOWED_OTHERWISE)
        return MEMORY_MB_S[self.cpu] * slowed, BY_CLASS


@dataclass(frozen=True, slots=True)
class Forecast:
    """One model on the best of what is there.

    Attributes:
        node: the PC; of several the first one.
        machines: how many share it.
        tokens_per_s: as measured, where it was; else the forecast.
        low, high: within which it stands; both 0 where it was measured.
        forecast: what the forecast would have been without the measurement of this very model.
    """

    model: str
    quantization: str
    node: str
    machines: int
    tokens_per_s: float
    low: float
    high: float
    forecast: float
    basis: Basis

    @property
    def off(self) -> float:
        """By how much the forecast missed what was measured, as a fraction of it; 0 where nobody measured."""
        return abs(self.forecast - self.tokens_per_s) / self.tokens_per_s if self.basis == "measured" else 0.0

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return asdict(self) | {"off": self.off}


def forecasts(models: Iterable[Model], here: Machine, rows: Sequence[Measurement], name: str) -> list[Forecast]:
    """Of each model that can run in this house the best there is.

    Args:
        models: of the catalogue.
        here: this PC.
        rows: what was measured in the house: from it the other PCs are known.
        name: this PC's, as it stands in the rows.
    """
    found = (forecast(model, here, rows, name) for model in models)
    return [each for each in found if each is not None]


def forecast(model: Model, here: Machine, rows: Sequence[Measurement], name: str) -> Forecast | None:
    """Where the model would run, and how fast; None: nowhere in this house."""
    pcs = house(here, [row for row in rows if row.model != model.name], name)
    measured = [row for row in rows if row.model == model.name and row.tokens_per_s > 0]
    expected = _alone(model, pcs) or _together(model, pcs)
    if not measured:
        return expected
    best = max(measured, key=lambda row: row.tokens_per_s)
    own = [pc for pc in pcs if pc.name == best.node] or [Pc(best.node, best.cpu, best.ram_mb, {})]
    without = _speed(best.bytes_per_token / 1e6, best.quantization, own)[0] if best.machines == 1 else 0.0
    if best.machines > 1 and expected is not None:
        without = expected.tokens_per_s
    return Forecast(
        model.name, best.quantization, best.node, best.machines, best.tokens_per_s, 0.0, 0.0, without, "measured"
    )  # fmt: skip


def house(here: Machine, rows: Sequence[Measurement], name: str) -> list[Pc]:
    """The PCs that are known: this one, and those that were measured."""
    found = {row.node: Pc(row.node, row.cpu, row.ram_mb, {}) for row in sorted(rows, key=lambda row: row.ram_mb)}
    found[name] = Pc(name, here.cpu, here.ram_mb, {})
    for pc in found.values():
        own = [row for row in rows if row.node == pc.name and row.machines == 1 and row.bytes_per_token >= _SMALLEST]
        for kind in {row.quantization for row in own}:
            speeds = [row.tokens_per_s * row.bytes_per_token / 1e6 for row in own if row.quantization == kind]
            pc.mb_s[kind] = median(speeds)
    return list(found.values())


def _alone(model: Model, pcs: Sequence[Pc]) -> Forecast | None:
    """On the fastest PC that holds it."""
    found = []
    for pc in pcs:
        variant = _variant(model, pc.cpu)
        if variant is not None and model.ram_mb <= pc.ram_mb * RAM_SHARE:
            found.append(_of(model, variant, [pc]))
    return max(found, key=lambda each: each.tokens_per_s, default=None)


def _together(model: Model, pcs: Sequence[Pc]) -> Forecast | None:
    """Over RPC, on as few PCs as hold it; all of them have one file, that for the oldest."""
    able = sorted((pc for pc in pcs if pc.ram_mb), key=lambda pc: -pc.ram_mb)
    for count in range(2, len(able) + 1):
        group = able[:count]
        oldest = min((pc.cpu for pc in group), key=list(CpuClass).index)
        variant = _variant(model, oldest)
        if variant is not None and model.ram_mb <= sum(pc.ram_mb for pc in group) * RAM_SHARE:
            return _of(model, variant, group)
    return None


def _of(model: Model, variant: Variant, group: Sequence[Pc]) -> Forecast:
    speed, wrong = _speed(float(variant.reads_mb or variant.size_mb), variant.quantization, group)
    basis: Basis = "by_pc" if wrong == BY_PC else "by_class"
    return Forecast(
        model.name, variant.quantization, group[0].name, len(group), speed, speed / wrong, speed * wrong, speed, basis
    )  # fmt: skip


def _speed(reads_mb: float, quantization: str, group: Sequence[Pc]) -> tuple[float, float]:
    """Tokens a second of machines that work one after the other, each by its memory; and the worst of their bounds."""
    memory = sum(pc.ram_mb for pc in group) or 1
    seconds, wrong = HOP_S * (len(group) - 1), 1.0
    for pc in group:
        mb_s, bound = pc.reads(quantization)
        seconds += reads_mb * (pc.ram_mb / memory if len(group) > 1 else 1) / mb_s
        wrong = max(wrong, bound)
    return 1 / seconds, wrong


def _variant(model: Model, cpu: CpuClass) -> Variant | None:
    return next((variant for variant in model.variants if cpu.at_least(variant.cpu)), None)
