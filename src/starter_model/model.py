"""The network: a small llama-architecture transformer, as llama.cpp computes it (interleaved RoPE, tied output)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from starter_model.shape import NORM_EPS, ROPE_BASE, Shape


class Block(nn.Module):  # type: ignore[misc,unused-ignore]
    """Attention, then a gated feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.attention_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        # Query, key and value in one product, gate and up in another; the export takes them apart.
        self.qkv = nn.Linear(shape.width, shape.head * (shape.heads + 2 * shape.kv_heads), bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)
        self.feed_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        self.gate_up = nn.Linear(shape.width, 2 * shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """One layer over ``[batch, time, width]``."""
        batch, time, _ = x.shape
        shape = self.shape
        mixed = self.qkv(self.attention_norm(x)).view(batch, time, -1, shape.head).transpose(1, 2)
        query, key, value = mixed.split((shape.heads, shape.kv_heads, shape.kv_heads), dim=1)
        query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
        repeat = shape.heads // shape.kv_heads
        if repeat > 1:
            key, value = key.repeat_interleave(repeat, dim=1), value.repeat_interleave(repeat, dim=1)
        # Plain products: on short rows twice as fast as the fused kernel.
        scores = torch.matmul(query * shape.head**-0.5, key.transpose(-1, -2)) + mask
        attended = torch.matmul(torch.softmax(scores, -1, dtype=value.dtype), value)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, time, shape.width))
        gate, up = self.gate_up(self.feed_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class StarterModel(nn.Module):  # type: ignore[misc,unused-ignore]
    """Token ids to hidden states; ``logits`` turns the wanted ones into scores."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        angles = torch.outer(
            torch.arange(shape.context).float(), ROPE_BASE ** (-torch.arange(0, shape.head, 2).float() / shape.head)
        )
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._initialize()

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.02)
        for name, weight in self.named_parameters():
            if weight.dim() == 2 and "embedding" not in name:
                std = 0.5 * weight.shape[1] ** -0.5
                if name.endswith(("output.weight", "down.weight")):
                    std /= (2 * self.shape.layers) ** 0.5
                nn.init.normal_(weight, std=std)

    def forward(self, tokens: Tensor) -> Tensor:
        """Hidden states of ``[batch, time]`` token ids."""
        x = self.embedding(tokens)
        time = tokens.shape[1]
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        cos, sin = self.cos[:time].to(kind), self.sin[:time].to(kind)
        mask = torch.full((time, time), float("-inf"), dtype=kind).triu(1)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        hidden: Tensor = self.norm(x)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary; the output matrix is the embedding."""
        return F.linear(hidden, self.embedding.weight)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
