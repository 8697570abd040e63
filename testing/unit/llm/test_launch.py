"""The command line: slots and context that fit the memory, caches and batches that suit the CPU, known options only."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.llm.gguf import ModelHead
from pipecatapp.llm.launch import CACHE_SHARE, Launch, plan
from pipecatapp.machine import CpuClass, Machine

pytestmark = pytest.mark.unit

OPTIONS = (
    "--model --alias --host --port --api-key-file --ctx-size --parallel --threads --batch-size --ubatch-size "
    "--slot-save-path --cache-ram --sse-ping-interval --skip-chat-parsing --reasoning --jinja --slots --metrics "
    "--offline --no-ui --poll --flash-attn --cache-type-k --cache-type-v"
)
ALL = frozenset(OPTIONS.split())
QWEN_7B = ModelHead("qwen2", "qwen", 32768, 57_344, 128, 4_683_000_000)
STARTER = ModelHead("llama", "starter", 1024, 4096, 32, 9_000_000)


def launch(head: ModelHead, *, ram_mb: int = 8000, flags: str = "avx2 f16c", **options: object) -> Launch:
    cpu = CpuClass.AVX2 if "avx2" in flags else CpuClass.CORE2
    return plan(
        model=Path("/models/m.gguf"),
        alias="m",
        head=head,
        machine=Machine(cpu, frozenset(flags.split()), 2, ram_mb),
        options=options.pop("options", ALL),  # type: ignore[arg-type]
        host="127.0.0.1",
        port=8081,
        key_file=Path("/state/key"),
        slots_dir=Path("/state/slots"),
        **options,  # type: ignore[arg-type]
    )


def value(found: Launch, option: str) -> str:
    return found.arguments[found.arguments.index(option) + 1]


@pytest.mark.parametrize("ram_mb", [4000, 8000, 16000, 64000])
def test_all_conversations_together_stay_in_their_share_of_memory(ram_mb: int) -> None:
    found = launch(QWEN_7B, ram_mb=ram_mb)

    smallest = found.slots == 2 and found.context_tokens == 2048
    assert found.slots * found.context_tokens * QWEN_7B.kv_bytes_per_token <= ram_mb * CACHE_SHARE * 2**20 or smallest
    assert found.slots >= 2
    assert int(value(found, "--ctx-size")) == found.slots * found.context_tokens


def test_more_memory_means_more_context() -> None:
    assert launch(QWEN_7B, ram_mb=64000).context_tokens > launch(QWEN_7B, ram_mb=8000).context_tokens


def test_the_context_is_never_longer_than_the_models_nor_than_it_is_worth() -> None:
    assert launch(STARTER).context_tokens == 1024
    assert launch(QWEN_7B, ram_mb=64000, max_context=4096).context_tokens == 4096


def test_a_cpu_without_f16c_gets_a_quantized_cache_and_small_batches() -> None:
    old, new = launch(STARTER, flags="ssse3"), launch(STARTER)

    assert value(old, "--cache-type-k") == value(old, "--cache-type-v") == "q8_0"
    assert int(value(old, "--batch-size")) < int(value(new, "--batch-size"))
    assert "--cache-type-k" not in new.arguments


def test_a_small_model_runs_on_one_thread_a_large_one_on_all_cores() -> None:
    assert (value(launch(STARTER), "--threads"), value(launch(QWEN_7B), "--threads")) == ("1", "2")


def test_heads_that_no_block_fits_keep_their_cache() -> None:
    narrow = ModelHead("llama", "narrow", 1024, 4096, 24, 9_000_000)

    assert "--cache-type-k" not in launch(narrow, flags="ssse3").arguments


def test_an_older_build_gets_the_options_that_it_knows() -> None:
    found = launch(STARTER, options=frozenset({"--model", "--port", "--ctx-size", "--parallel", "--no-webui"}))

    assert {word for word in found.arguments if word.startswith("--")} == {
        "--model", "--port", "--ctx-size", "--parallel", "--no-webui",
    }  # fmt: skip


def test_the_engine_asks_for_its_key_and_keeps_answers_whole() -> None:
    found = launch(STARTER)

    assert value(found, "--api-key-file") == "/state/key"
    assert "--skip-chat-parsing" in found.arguments
