"""Train the starter model on generated conversations, on CPU, in packed rows.

``python -m starter_model.train OUT_DIR --vocabulary VOCAB.json --minutes 90`` writes ``checkpoint.pt`` and ``log.jsonl``; started
again it goes on where it stopped. Only what the assistant says is learned.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from starter_model.corpus import EXPERT, Conversations, Message
from starter_model.model import Shape, StarterModel
from starter_model.tokenizer import Tokenizer

IGNORED = -100


def encode_conversation(tokenizer: Tokenizer, messages: list[Message]) -> tuple[list[int], list[bool]]:
    """Token ids of a conversation, and which of them the assistant says (its end marker too)."""
    ids: list[int] = []
    learned: list[bool] = []
    for role, text in messages:
        head = tokenizer.encode(f"<|im_start|>{'assistant' if role == EXPERT else role}\n")
        body = [*tokenizer.encode(text), tokenizer.end]
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        learned += [False] * len(head) + [role == "assistant"] * len(body) + [False] * len(tail)
    return ids, learned


def packed_rows(
    tokenizer: Tokenizer, source: Iterator[list[Message]], length: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Rows of ``length`` inputs and their targets; each row starts with a conversation, the last one is cut."""
    while True:
        ids: list[int] = []
        learned: list[bool] = []
        while len(ids) < length + 1:
            more, flags = encode_conversation(tokenizer, next(source))
            ids += more
            learned += flags
        targets = [
            token if flag else IGNORED for token, flag in zip(ids[1 : length + 1], learned[1 : length + 1], strict=True)
        ]
        yield ids[:length], targets


def batches(rows: Iterator[tuple[list[int], list[int]]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Stack rows."""
    while True:
        inputs, targets = zip(*(next(rows) for _ in range(size)), strict=True)
        yield torch.tensor(inputs), torch.tensor(targets)


def loss_of(model: StarterModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy over what is learned; only there are scores computed."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model(inputs)
        wanted = targets != IGNORED
        logits = model.logits(hidden[wanted])
    return F.cross_entropy(logits.float(), targets[wanted])


@torch.no_grad()
def exact_messages(
    model: StarterModel, tokenizer: Tokenizer, *, held_out: bool, count: int, seed: int
) -> dict[str, float]:
    """Share of assistant messages that greedy decoding would get exactly right, given the true text before."""
    source = Conversations(seed, held_out)
    right: dict[str, list[bool]] = {"call": [], "speech": []}
    rows, flags, spans = [], [], []
    for _ in range(count):
        ids, learned = encode_conversation(tokenizer, source.conversation())
        rows.append(ids)
        flags.append(learned)
    for start in range(0, count, 16):
        part = rows[start : start + 16]
        width = max(map(len, part))
        inputs = torch.tensor([row + [0] * (width - len(row)) for row in part])
        with torch.autocast("cpu", torch.bfloat16):
            guesses = model.logits(model(inputs)).argmax(-1).tolist()
        for row, learned, guess in zip(part, flags[start : start + 16], guesses, strict=True):
            at = 1
            while at < len(row):
                if not learned[at]:
                    at += 1
                    continue
                end = at
                while end < len(row) and learned[end]:
                    end += 1
                kind = "call" if tokenizer.tokens[row[at]].text == "<tool_call>" else "speech"
                right[kind].append(row[at:end] == guess[at - 1 : end - 1])
                at = end
    del spans
    return {kind: sum(hits) / max(1, len(hits)) for kind, hits in right.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train."""

    minutes: float
    rows: int
    length: int
    rate: float
    seed: int


def optimizers(model: StarterModel, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for embedding and norms."""
    inner = [p for name, p in model.named_parameters() if p.dim() == 2 and "embedding" not in name]
    rest = [p for name, p in model.named_parameters() if p.dim() != 2 or "embedding" in name]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate_at(share: float, step: int) -> float:
    """Warm up, stay, then fall to zero over the last 45 % of the time."""
    return min(1.0, (step + 1) / 100) * (1.0 if share < 0.55 else max(0.02, (1.0 - share) / 0.45))


def train(shape: Shape, tokenizer: Tokenizer, plan: Plan, folder: Path) -> StarterModel:
    """Train, logging and saving every few minutes; resumes from ``folder``."""
    torch.manual_seed(plan.seed)
    model = StarterModel(shape)
    steps = optimizers(model, plan.rate)
    step, spent, tokens = 0, 0.0, 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(steps, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, spent, tokens = state["step"], state["spent"], state["tokens"]
    source = batches(packed_rows(tokenizer, iter(Conversations(plan.seed + 1000 * step + 1)), plan.length), plan.rows)
    started, cpu_started, last_save, running = time.monotonic() - spent, time.process_time(), time.monotonic(), 0.0
    while (spent := time.monotonic() - started) < plan.minutes * 60:
        scale = rate_at(spent / (plan.minutes * 60), step)
        for optimizer in steps:
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * scale
        inputs, targets = next(source)
        loss = loss_of(model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in steps:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        tokens += inputs.numel()
        running = loss.item() if running == 0 else 0.97 * running + 0.03 * loss.item()
        if step % 100 == 0:
            report = {
                "step": step,
                "minutes": round(spent / 60, 1),
                "loss": round(running, 4),
                "million_tokens": round(tokens / 1e6, 2),
            }
            report["cpu_minutes"] = round((time.process_time() - cpu_started) / 60, 1)
            if step % 400 == 0:
                model.eval()
                for name, held_out in (("seen", False), ("held_out", True)):
                    for kind, share in exact_messages(
                        model, tokenizer, held_out=held_out, count=120, seed=plan.seed + 5
                    ).items():
                        report[f"{name}_{kind}"] = round(share, 3)
                model.train()
            line = json.dumps(report)
            print(line, flush=True)
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(line + "\n")
        if time.monotonic() - last_save > 150:
            save(model, steps, shape, step, spent, tokens, checkpoint)
            last_save = time.monotonic()
    save(model, steps, shape, step, spent, tokens, checkpoint)
    return model


def save(
    model: StarterModel,
    steps: list[torch.optim.Optimizer],
    shape: Shape,
    step: int,
    spent: float,
    tokens: int,
    path: Path,
) -> None:
    """Write the checkpoint in one step, so that a crash leaves the old one."""
    temporary = path.with_suffix(".new")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in steps],
            "shape": asdict(shape),
            "step": step,
            "spent": spent,
            "tokens": tokens,
        },
        temporary,
    )
    temporary.replace(path)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the starter model on generated conversations.")
    parser.add_argument("folder", type=Path, help="where checkpoint and log go; an existing checkpoint is resumed")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the vocabulary (starter_model.tokenizer)")
    parser.add_argument("--minutes", type=float, default=100, help="wall time of the whole training")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=640)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--rows", type=int, default=16, help="rows in a batch")
    parser.add_argument("--length", type=int, default=256, help="tokens in a row")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(options.vocabulary)
    shape = Shape(len(tokenizer), options.width, options.layers, options.heads, options.kv_heads, options.hidden)
    plan = Plan(options.minutes, options.rows, options.length, options.rate, options.seed)
    model = train(shape, tokenizer, plan, options.folder)
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} million parameters in {options.folder / 'checkpoint.pt'}"
    )


if __name__ == "__main__":
    main()
