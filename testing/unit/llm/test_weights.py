"""Where the bytes of a model are, and which of them are read for a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.llm.weights import read_weights
from testing.fakes.gguf import Shape, write_random_model

pytestmark = pytest.mark.unit


def test_layers_embedding_and_output_are_told_apart(tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "dense.gguf")

    weights = read_weights(path)

    assert (weights.architecture, weights.layers, weights.experts, weights.parts) == ("llama", 4, 0, 1)
    assert len(set(weights.layer_bytes)) == 1
    everything = sum(weights.layer_bytes) + weights.input_bytes + weights.output_bytes
    # What is left is the last norm, and what stands in front of the tensors.
    assert 0 < weights.size - everything < 40_000
    assert weights.bytes_per_token == sum(weights.layer_bytes) + weights.output_bytes


def test_of_a_mixture_only_the_active_experts_are_read(tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "mixture.gguf", shape=Shape(experts=8, experts_used=2))

    weights = read_weights(path)

    assert (weights.architecture, weights.experts) == ("qwen3moe", 8)
    # 4 layers of 8 experts with 3 matrices of 128 x 256 in Q8_0, of which a quarter is read.
    of_experts = 4 * 8 * 3 * 128 * 256 * 34 // 32
    assert weights.bytes_per_token == sum(weights.layer_bytes) + weights.output_bytes - of_experts * 3 // 4


def test_a_model_in_parts_is_one(tmp_path: Path) -> None:
    whole = read_weights(write_random_model(tmp_path / "whole.gguf"))
    write_random_model(tmp_path / "m.gguf", tensors_per_part=10)

    weights = read_weights(sorted(tmp_path.glob("m-00001-of-*.gguf"))[0])

    assert weights.parts > 1
    assert weights.layers == whole.layers
    assert abs(sum(weights.layer_bytes) - sum(whole.layer_bytes)) < 1000  # padding at the ends of the parts
