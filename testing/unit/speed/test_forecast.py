"""How fast a model will be, by the memory's speed; and by what was measured, where something was."""

from __future__ import annotations

from typing import Any

import pytest

from pipecatapp.llm.catalogue import Model
from pipecatapp.machine import CpuClass, Machine
from pipecatapp.speed.forecast import BY_CLASS, BY_PC, Forecast, forecast
from pipecatapp.speed.measurement import Measurement
from testing.fakes.speeds import measurement

pytestmark = pytest.mark.unit

CORE2 = Machine(CpuClass.CORE2, frozenset(), 2, 8000)
SUM = "a" * 64


def model(name: str, size_mb: int, ram_mb: int, quantization: str = "Q4_0", **variant: Any) -> Model:
    file = {"name": f"{name}.gguf", "sha256": SUM, "url": "https://example.org/x"}
    kind = {"quantization": quantization, "cpu": "core2", "size_mb": size_mb, "files": [file], **variant}
    return Model.model_validate({"name": name, "title": name, "licence": "x", "ram_mb": ram_mb, "variants": [kind]})


def of(wanted: Model, *rows: Measurement) -> Forecast:
    found = forecast(wanted, CORE2, rows, "pc1")
    assert found is not None
    return found


def test_an_unknown_pc_is_forecast_by_the_age_of_its_processor() -> None:
    found = of(model("seven", 4000, 5000))

    assert (found.node, found.machines, found.basis) == ("pc1", 1, "by_class")
    assert found.tokens_per_s == pytest.approx(1.0)
    assert (found.low, found.high) == pytest.approx((1 / BY_CLASS, BY_CLASS))


def test_below_avx2_only_some_quantizations_are_as_fast_as_the_memory() -> None:
    assert of(model("seven", 4000, 5000, "Q4_K_M")).tokens_per_s == pytest.approx(0.2)


def test_what_was_measured_with_another_model_says_how_fast_the_pc_reads() -> None:
    found = of(model("seven", 4000, 5000), measurement("other", "pc1", 6.0))

    assert found.basis == "by_pc"
    assert found.tokens_per_s == pytest.approx(1.5)
    assert (found.low, found.high) == pytest.approx((1.5 / BY_PC, 1.5 * BY_PC))
    # Another quantization says nothing about this one, and what fits a cache nothing about memory.
    assert of(model("seven", 4000, 5000), measurement("other", "pc1", 6.0, quantization="Q8_0")).basis == "by_class"
    small = measurement("other", "pc1", 900.0, bytes_per_token=3_000_000)
    assert of(model("seven", 4000, 5000), small).basis == "by_class"


def test_where_the_model_itself_was_measured_that_counts_and_the_forecasts_error_is_said() -> None:
    found = of(model("seven", 4000, 5000), measurement("seven", "pc1", 2.0, bytes_per_token=4 * 10**9))

    assert (found.basis, found.tokens_per_s) == ("measured", 2.0)
    assert (found.forecast, found.off) == pytest.approx((1.0, 0.5))


def test_a_mixture_is_as_fast_as_what_it_reads_and_a_dense_one_of_half_its_size_is_slower() -> None:
    """Qwen3-30B-A3B's proportions beside a dense 14B, in a house of three Core 2 PCs."""
    house = [measurement("other", "pc2", 4.0), measurement("other", "pc3", 4.0)]
    mixture = of(model("30b-a3b", 17_400, 16_500, reads_mb=1_900), *house)
    dense = of(model("14b", 8_000, 9_000), *house)

    assert (mixture.machines, dense.machines) == (3, 2)
    assert mixture.tokens_per_s == pytest.approx(1 / (1.9 / 4 + 0.002))
    assert dense.tokens_per_s == pytest.approx(1 / (8 / 4 + 0.001))
    assert forecast(model("30b-a3b", 17_400, 16_500, reads_mb=1_900), CORE2, house[:1], "pc1") is None


def test_the_quickest_pc_that_holds_it_is_the_one() -> None:
    newer, small = measurement("other", "pc2", 12.0, cpu="avx2"), measurement("other", "pc3", 20.0, ram_mb=2000)

    assert of(model("seven", 4000, 5000), newer, small).node == "pc2"
