"""The export: the same bytes every time, and a file that the engine's reader accepts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipecatapp.llm.gguf import read_head
from starter_model.corpus import Conversations, render
from starter_model.export import CHAT_TEMPLATE, export, tensors
from starter_model.shape import Shape
from starter_model.tokenizer import Tokenizer, train

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train((render(conversation) for conversation in islice(Conversations(seed=1), 60)), 60, 40)


def shape_for(tokenizer: Tokenizer) -> Shape:
    return Shape(len(tokenizer), width=64, layers=2, heads=2, kv_heads=1, hidden=96)


def random_weights(shape: Shape) -> dict[str, Any]:
    rng = np.random.default_rng(7)

    def matrix(*size: int) -> Any:
        return rng.standard_normal(size, dtype=np.float32)

    weights = {"embedding.weight": matrix(shape.vocabulary, shape.width), "norm.weight": matrix(shape.width)}
    for layer in range(shape.layers):
        block = f"blocks.{layer}."
        weights |= {
            block + "attention_norm.weight": matrix(shape.width),
            block + "feed_norm.weight": matrix(shape.width),
            block + "qkv.weight": matrix(shape.head * (shape.heads + 2 * shape.kv_heads), shape.width),
            block + "output.weight": matrix(shape.width, shape.width),
            block + "gate_up.weight": matrix(2 * shape.hidden, shape.width),
            block + "down.weight": matrix(shape.width, shape.hidden),
        }
    return weights


@pytest.mark.parametrize("kind", ["Q8_0", "F16"])
def test_the_same_model_gives_the_same_bytes(tokenizer: Tokenizer, tmp_path: Path, kind: str) -> None:
    shape = shape_for(tokenizer)
    for name in ("one.gguf", "two.gguf"):
        export(random_weights(shape), shape, tokenizer, tmp_path / name, kind=kind)
    one, two = (tmp_path / name for name in ("one.gguf", "two.gguf"))
    assert one.read_bytes() == two.read_bytes()


def test_the_file_is_whole_and_says_what_it_is(tokenizer: Tokenizer, tmp_path: Path) -> None:
    shape = shape_for(tokenizer)
    export(random_weights(shape), shape, tokenizer, tmp_path / "starter.gguf")
    head = read_head(tmp_path / "starter.gguf")
    assert head.architecture == "llama"
    assert head.name == "starter"
    assert head.context_tokens == 2048
    assert CHAT_TEMPLATE.encode() in (tmp_path / "starter.gguf").read_bytes()


def test_joined_matrices_are_taken_apart(tokenizer: Tokenizer) -> None:
    shape = shape_for(tokenizer)
    weights = random_weights(shape)
    found = tensors(weights, shape)
    assert found["blk.1.attn_q.weight"].shape == (64, 64)
    assert found["blk.1.attn_k.weight"].shape == (32, 64)
    assert np.array_equal(found["blk.0.ffn_up.weight"], weights["blocks.0.gate_up.weight"][96:])
    assert np.array_equal(found["blk.0.attn_v.weight"], weights["blocks.0.qkv.weight"][96:])


def test_a_trained_network_has_exactly_these_parameters(tokenizer: Tokenizer) -> None:
    pytest.importorskip("torch", reason="torch belongs to the group `train`, not to the tests")
    from starter_model.model import StarterModel

    shape = shape_for(tokenizer)
    state = StarterModel(shape).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        name: value.shape for name, value in random_weights(shape).items()
    }
