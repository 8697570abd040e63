"""A small GGUF with random weights: what it says means nothing, but every engine loads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

WORDS = "the of and to in is it you that he was for on are with as they be at one have this from or by what we all"
TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the model is; by default about 1 MB."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    kv_heads: int = 2
    inner: int = 256
    # A mixture of experts, as Qwen3's: so many in each layer, of which so many are read for a token. 0: it is dense.
    experts: int = 0
    experts_used: int = 2


def write_random_model(
    path: Path, *, context: int = 4096, seed: int = 1, shape: Shape = Shape(), tensors_per_part: int = 0
) -> Path:
    """Write a llama with a ChatML template and a byte-fallback vocabulary, its matrices in Q8_0.

    A mixture of experts is a Qwen3. With ``tensors_per_part`` it is split over several files, named after the path.
    """
    random = np.random.default_rng(seed)
    architecture = "qwen3moe" if shape.experts else "llama"
    writer = gguf.GGUFWriter(str(path), architecture, split_max_tensors=tensors_per_part)
    writer.add_name("random")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.experts_used)
        writer.add_expert_feed_forward_length(shape.inner)
        writer.add_key_length(shape.width // shape.heads)
        writer.add_value_length(shape.width // shape.heads)
    vocabulary = _add_vocabulary(writer)
    writer.add_vocab_size(vocabulary)

    def matrix(name: str, *size: int) -> None:
        values = random.standard_normal(size, dtype=np.float32) * 0.08
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def ones(name: str, length: int = shape.width) -> None:
        writer.add_tensor(name, np.ones(length, dtype=np.float32))

    matrix("token_embd.weight", vocabulary, shape.width)
    ones("output_norm.weight")
    matrix("output.weight", vocabulary, shape.width)
    narrow = shape.width // shape.heads * shape.kv_heads
    for layer in range(shape.layers):
        name = f"blk.{layer}."
        ones(name + "attn_norm.weight")
        matrix(name + "attn_q.weight", shape.width, shape.width)
        matrix(name + "attn_k.weight", narrow, shape.width)
        matrix(name + "attn_v.weight", narrow, shape.width)
        matrix(name + "attn_output.weight", shape.width, shape.width)
        ones(name + "ffn_norm.weight")
        if shape.experts:
            ones(name + "attn_q_norm.weight", shape.width // shape.heads)
            ones(name + "attn_k_norm.weight", shape.width // shape.heads)
            matrix(name + "ffn_gate_inp.weight", shape.experts, shape.width)
            matrix(name + "ffn_gate_exps.weight", shape.experts, shape.inner, shape.width)
            matrix(name + "ffn_up_exps.weight", shape.experts, shape.inner, shape.width)
            matrix(name + "ffn_down_exps.weight", shape.experts, shape.width, shape.inner)
            continue
        matrix(name + "ffn_gate.weight", shape.inner, shape.width)
        matrix(name + "ffn_up.weight", shape.inner, shape.width)
        matrix(name + "ffn_down.weight", shape.width, shape.inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    kinds = gguf.TokenType
    tokens: list[tuple[bytes, float, int]] = [
        (b"<unk>", 0.0, kinds.UNKNOWN),
        (b"<s>", 0.0, kinds.CONTROL),
        (b"</s>", 0.0, kinds.CONTROL),
        *((f"<0x{byte:02X}>".encode(), 0.0, kinds.BYTE) for byte in range(256)),
        (b"<|im_start|>", 0.0, kinds.CONTROL),
        (b"<|im_end|>", 0.0, kinds.CONTROL),
    ]
    end = len(tokens) - 1
    pieces = [chr(code) for code in range(33, 127)] + ["▁", "\n"]
    pieces += [piece for word in WORDS.split() for piece in ("▁" + word, word)]
    tokens += [(piece.encode(), -1.0 - i * 1e-3, kinds.NORMAL) for i, piece in enumerate(dict.fromkeys(pieces))]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token for token, _, _ in tokens])
    writer.add_token_scores([score for _, score, _ in tokens])
    writer.add_token_types([kind for _, _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    # With the space prefix llama-server answers 400 to JSON requests.
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    return len(tokens)
