"""The command line of a llama-server for one model on one PC. Decides, starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipecatapp.llm.gguf import ModelHead
from pipecatapp.machine import CpuClass, Machine

# Slots (conversations whose prefix cache is kept) and tokens of context for each, best first.
SHAPES = ((4, 8192), (4, 4096), (2, 8192), (2, 4096), (2, 2048))
# The part of memory that the cache of all conversations may take.
CACHE_SHARE = 0.2
# A model of fewer bytes is quicker on one thread: two would spend their time handing over.
SMALL = 64_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is decided about one start."""

    arguments: tuple[str, ...]
    slots: int
    context_tokens: int


def plan(
    *,
    model: Path,
    alias: str,
    head: ModelHead,
    machine: Machine,
    options: frozenset[str],
    host: str,
    port: int,
    key_file: Path,
    slots_dir: Path,
    max_context: int | None = None,
) -> Launch:
    """Fit slots, context, threads and batch to the PC; use only options that this build of llama-server knows."""
    slots, context = _shape(head, machine, max_context)
    fast = machine.cpu.at_least(CpuClass.AVX2)
    # A cancelled request ends after its batch: small batches keep that below a few seconds on a slow CPU.
    batch = 128 if fast else 32
    wanted: list[tuple[str, ...]] = [
        ("--model", str(model)),
        ("--alias", alias),
        ("--host", host),
        ("--port", str(port)),
        ("--api-key-file", str(key_file)),
        ("--ctx-size", str(slots * context)),
        ("--parallel", str(slots)),
        ("--threads", str(1 if head.size < SMALL else machine.cores)),
        ("--poll", "0"),
        ("--batch-size", str(batch)),
        ("--ubatch-size", str(batch)),
        ("--slot-save-path", str(slots_dir)),
        # Every conversation keeps its own slot (slots.py); a second cache in RAM would hold the same again.
        ("--cache-ram", "0"),
        # Pings tell a slow prompt from a dead server.
        ("--sse-ping-interval", "5"),
        # The text protocol is ours (twin/speak/protocol.py): the server must not take tool calls out of the answer.
        ("--skip-chat-parsing",),
        ("--reasoning", "off"),
        ("--jinja",),
        ("--slots",),
        ("--metrics",),
        ("--offline",),
        ("--no-ui",) if "--no-ui" in options else ("--no-webui",),
    ]
    if "f16c" not in machine.flags and head.head_size % 32 == 0:
        # Without F16C every f16 of the cache is converted in software: q8_0 is half again as fast.
        wanted += [("--flash-attn", "on"), ("--cache-type-k", "q8_0"), ("--cache-type-v", "q8_0")]
    known = [words for words in wanted if words[0] in options]
    return Launch(tuple(word for words in known for word in words), slots, context)


def _shape(head: ModelHead, machine: Machine, max_context: int | None) -> tuple[int, int]:
    limit = min(head.context_tokens, max_context or head.context_tokens)
    budget = machine.ram_mb * CACHE_SHARE * 2**20
    for slots, wanted in SHAPES:
        context = min(wanted, limit)
        if slots * context * head.kv_bytes_per_token <= budget:
            return slots, context
    return SHAPES[-1][0], min(SHAPES[-1][1], limit)
