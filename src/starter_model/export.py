"""Checkpoint to GGUF: llama architecture, Q8_0 matrices, vocabulary and chat template inside; always the same bytes.

``python -m starter_model.export CHECKPOINT --vocabulary VOCAB.json --output models/starter.gguf``
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from starter_model.shape import NORM_EPS, ROPE_BASE, Shape
from starter_model.tokenizer import BOS, END_OF_TEXT, IM_END, UNKNOWN, Kind, Tokenizer

NAME = "starter"
CONTEXT = 2048
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_WHOLE = {
    "attention_norm": "attn_norm", "output": "attn_output", "feed_norm": "ffn_norm", "down": "ffn_down",
}  # fmt: skip


def tensors(weights: Mapping[str, Any], shape: Shape) -> dict[str, np.ndarray]:
    """Our parameters under llama.cpp's names; joined matrices are taken apart."""
    found: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        array = np.ascontiguousarray(np.asarray(value, dtype=np.float32))
        if name == "embedding.weight":
            found["token_embd.weight"] = array
            continue
        if name == "norm.weight":
            found["output_norm.weight"] = array
            continue
        _, layer, part, _ = name.split(".")
        block = f"blk.{layer}."
        if part == "qkv":
            query, key = shape.width, shape.head * shape.kv_heads
            pieces = np.split(array, [query, query + key])
            found |= {
                f"{block}{kind}.weight": piece
                for kind, piece in zip(("attn_q", "attn_k", "attn_v"), pieces, strict=True)
            }
        elif part == "gate_up":
            gate, up = np.split(array, 2)
            found |= {f"{block}ffn_gate.weight": gate, f"{block}ffn_up.weight": up}
        else:
            found[f"{block}{_WHOLE[part]}.weight"] = array
    return dict(sorted(found.items()))


def export(
    weights: Mapping[str, Any], shape: Shape, tokenizer: Tokenizer, output: Path, kind: str = "Q8_0", version: str = ""
) -> None:
    """Write the model.

    Args:
        weights: parameter name -> float array (anything numpy takes).
        shape: the sizes.
        tokenizer: the vocabulary.
        output: the file to write.
        kind: type of the matrices, ``Q8_0`` or ``F16``; norms stay F32.
        version: a word for the metadata, for instance a date.
    """
    types = {"Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
             "F16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16)}  # fmt: skip
    quantization, file_type = types[kind]
    writer = gguf.GGUFWriter(output, "llama")
    writer.add_name(NAME)
    writer.add_description("The starter model of pipecatapp: small talk, tool calls and routing, nothing else.")
    writer.add_license("apache-2.0")
    if version:
        writer.add_version(version)
    writer.add_file_type(file_type)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(NORM_EPS)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(shape.head)
    writer.add_vocab_size(len(tokenizer))
    _add_vocabulary(writer, tokenizer)
    for name, array in tensors(weights, shape).items():
        if array.ndim == 1:
            writer.add_tensor(name, array)
        elif kind == "F16":
            writer.add_tensor(name, array.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(array, quantization), raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    kinds = {kind: gguf.TokenType(int(kind)) for kind in Kind}
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.text.encode() for token in tokenizer.tokens])
    writer.add_token_scores([token.score for token in tokenizer.tokens])
    writer.add_token_types([kinds[token.kind] for token in tokenizer.tokens])
    writer.add_unk_token_id(tokenizer.ids[UNKNOWN])
    writer.add_bos_token_id(tokenizer.ids[BOS])
    writer.add_eos_token_id(tokenizer.ids[IM_END])
    writer.add_eot_token_id(tokenizer.ids[IM_END])
    writer.add_pad_token_id(tokenizer.ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    # A JSON request fails on a vocabulary that puts a blank in front of everything.
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description="Write a checkpoint as GGUF.")
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of starter_model.train")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the vocabulary that it was trained with")
    parser.add_argument("--output", type=Path, required=True, help="the GGUF to write")
    parser.add_argument("--type", choices=["Q8_0", "F16"], default="Q8_0")
    parser.add_argument("--version", default="", help="a word for the metadata")
    options = parser.parse_args()

    import torch

    state = torch.load(options.checkpoint, weights_only=True, map_location="cpu")
    weights = {name: value.float().numpy() for name, value in state["model"].items()}
    export(
        weights,
        Shape(**state["shape"]),
        Tokenizer.load(options.vocabulary),
        options.output,
        options.type,
        options.version,
    )
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, step {state['step']}")


if __name__ == "__main__":
    main()
