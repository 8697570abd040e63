"""The training itself: packed rows of generated conversations, of which only what the assistant says is learned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from starter_model.corpus import EXPERT, Conversations, Message
from starter_model.model import StarterModel
from starter_model.shape import Shape
from starter_model.tokenizer import Tokenizer

IGNORED = -100
SAVE_EVERY_S = 150


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


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def exact_messages(
    model: StarterModel, tokenizer: Tokenizer, *, held_out: bool, count: int, seed: int
) -> dict[str, float]:
    """Share of assistant messages that greedy decoding would get exactly right, given the true text before."""
    source = Conversations(seed, held_out)
    right: dict[str, list[bool]] = {"call": [], "speech": []}
    rows: list[list[int]] = []
    flags: list[list[bool]] = []
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
    return {kind: sum(hits) / max(1, len(hits)) for kind, hits in right.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. ``long_share``: part of the conversations that has five to ten turns."""

    minutes: float
    rows: int
    length: int
    rate: float
    seed: int
    long_share: float = 0.0


class Trainer:
    """A run that can be stopped and gone on with.

    Args:
        shape: the sizes of the network.
        tokenizer: the vocabulary.
        plan: how to train.
        folder: checkpoint and log; an existing checkpoint is resumed.
    """

    def __init__(self, shape: Shape, tokenizer: Tokenizer, plan: Plan, folder: Path) -> None:
        torch.manual_seed(plan.seed)
        self.model = StarterModel(shape)
        self._shape, self._tokenizer, self._plan, self._folder = shape, tokenizer, plan, folder
        self._optimizers = _optimizers(self.model, plan.rate)
        self._step, self._seconds, self._tokens, self._loss = 0, 0.0, 0, 0.0
        self._stopped = False
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self._folder / "checkpoint.pt"

    def stop(self) -> None:
        """End after the current step; the checkpoint is saved."""
        self._stopped = True

    def run(self) -> None:
        """Train until the time is up."""
        # Another seed after every resumption: nothing is seen twice.
        source = Conversations(self._plan.seed + 1000 * self._step + 1, long_share=self._plan.long_share)
        data = batches(packed_rows(self._tokenizer, iter(source), self._plan.length), self._plan.rows)
        budget, before, cpu_before = self._plan.minutes * 60, self._seconds, time.process_time()
        started = saved = time.monotonic()
        while self._seconds < budget and not self._stopped:
            self._one_step(*next(data), rate=self._plan.rate * rate_at(self._seconds / budget, self._step))
            self._seconds = before + time.monotonic() - started
            if self._step % 100 == 0:
                self._report((time.process_time() - cpu_before) / 60)
            if time.monotonic() - saved > SAVE_EVERY_S:
                self._save()
                saved = time.monotonic()
        self._save()

    def _one_step(self, inputs: Tensor, targets: Tensor, rate: float) -> None:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        loss = loss_of(self.model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self._step += 1
        self._tokens += inputs.numel()
        self._loss = 0.97 * self._loss + 0.03 * loss.item() if self._loss else loss.item()

    def _report(self, cpu_minutes: float) -> None:
        report = {
            "step": self._step,
            "minutes": round(self._seconds / 60, 1),
            "cpu_minutes": round(cpu_minutes, 1),
            "loss": round(self._loss, 4),
            "million_tokens": round(self._tokens / 1e6, 2),
        }
        if self._step % 400 == 0:
            for name, held_out in (("seen", False), ("held_out", True)):
                shares = exact_messages(self.model, self._tokenizer, held_out=held_out, count=120, seed=5)
                report |= {f"{name}_{kind}": round(share, 3) for kind, share in shares.items()}
        line = json.dumps(report)
        print(line, flush=True)
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._step, self._seconds, self._tokens = state["step"], state["spent"], state["tokens"]

    def _save(self) -> None:
        """Write the checkpoint in one step, so that a crash leaves the old one."""
        temporary = self._checkpoint.with_suffix(".new")
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "shape": asdict(self._shape),
            "step": self._step,
            "spent": self._seconds,
            "tokens": self._tokens,
        }
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)


def _optimizers(model: StarterModel, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for embedding and norms."""
    inner = [p for name, p in model.named_parameters() if p.dim() == 2 and "embedding" not in name]
    rest = [p for name, p in model.named_parameters() if p.dim() != 2 or "embedding" in name]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate_at(share: float, step: int) -> float:
    """Factor of the learning rate: warm up, stay, then fall to zero over the last 45 % of the time."""
    return min(1.0, (step + 1) / 100) * (1.0 if share < 0.55 else max(0.02, (1.0 - share) / 0.45))
