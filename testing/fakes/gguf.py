"""A small GGUF with random weights: what it says means nothing, but every engine loads it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, KV_HEADS, INNER = 4, 128, 4, 2, 256
WORDS = "the of and to in is it you that he was for on are with as they be at one have this from or by what we all"
TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_random_model(path: Path, *, context: int = 4096, seed: int = 1) -> Path:
    """Write a llama of about 1 MB with a ChatML template and a byte-fallback vocabulary."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("random")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    vocabulary = _add_vocabulary(writer)
    writer.add_vocab_size(vocabulary)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = random.standard_normal((rows, columns), dtype=np.float32) * 0.08
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    matrix("token_embd.weight", vocabulary, WIDTH)
    ones("output_norm.weight")
    matrix("output.weight", vocabulary, WIDTH)
    narrow = WIDTH // HEADS * KV_HEADS
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        ones(name + "attn_norm.weight")
        matrix(name + "attn_q.weight", WIDTH, WIDTH)
        matrix(name + "attn_k.weight", narrow, WIDTH)
        matrix(name + "attn_v.weight", narrow, WIDTH)
        matrix(name + "attn_output.weight", WIDTH, WIDTH)
        ones(name + "ffn_norm.weight")
        matrix(name + "ffn_gate.weight", INNER, WIDTH)
        matrix(name + "ffn_up.weight", INNER, WIDTH)
        matrix(name + "ffn_down.weight", WIDTH, INNER)
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
