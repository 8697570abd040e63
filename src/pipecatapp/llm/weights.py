"""Where the bytes of a model are: in which layers, and how many of them are read for one token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.llm.gguf import read_head, read_part, split_parts

_LAYER = re.compile(r"blk\.(\d+)\.")
# In a mixture of experts the matrices of all experts of a layer are one tensor.
_OF_EXPERTS = "_exps."


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """How a model may be laid over several machines, and how fast it can be; everything in bytes.

    Attributes:
        architecture: as the file calls it: ``llama``, ``qwen2``, ``qwen3moe``, ...
        size: of all files.
        layer_bytes: of each layer.
        input_bytes: the embedding, of which one row is read for a token.
        output_bytes: what turns the last layer into a token; the embedding once more where there is no other.
        bytes_per_token: what is read for one token: of a mixture of experts the active ones only.
        kv_bytes_per_token: what the cache takes for each token of context, over all layers.
        experts: how many experts a layer has; 0: it is dense.
        context_tokens: the most that it was trained for.
        parts: how many files it has.
    """

    architecture: str
    size: int
    layer_bytes: tuple[int, ...]
    input_bytes: int
    output_bytes: int
    bytes_per_token: int
    kv_bytes_per_token: int
    experts: int
    context_tokens: int
    parts: int = 1

    @property
    def layers(self) -> int:
        """How many there are."""
        return len(self.layer_bytes)


def read_weights(path: Path) -> ModelWeights:
    """Read the header of a GGUF, and of its other parts.

    Raises:
        ConfigurationError: as ``read_head``.
    """
    head = read_head(path)
    parts = [read_part(part) for part in split_parts(path)]
    tensors = {name: size for part in parts for name, size in part.tensors.items()}
    values = parts[0].values
    experts, used = (int(values.get(f"{head.architecture}.expert_{key}", 0)) for key in ("count", "used_count"))
    layers: dict[int, int] = {}
    per_token = 0
    for name, size in tensors.items():
        layer = _LAYER.match(name)
        if layer is None:
            continue
        layers[int(layer[1])] = layers.get(int(layer[1]), 0) + size
        per_token += size * used // experts if experts and _OF_EXPERTS in name else size
    embedding = tensors.get("token_embd.weight", 0)
    output = tensors.get("output.weight", 0) or embedding
    return ModelWeights(
        architecture=head.architecture,
        size=head.size,
        layer_bytes=tuple(layers[layer] for layer in sorted(layers)),
        input_bytes=embedding,
        output_bytes=output,
        bytes_per_token=per_token + output,
        kv_bytes_per_token=head.kv_bytes_per_token,
        experts=experts,
        context_tokens=head.context_tokens,
        parts=len(parts),
    )
