"""Train the starter model on generated conversations, on CPU.

``python -m starter_model.train OUT_DIR --vocabulary VOCAB.json --minutes 75`` writes ``checkpoint.pt`` and
``log.jsonl``; started again it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import importlib.util
import signal
from pathlib import Path

from starter_model.shape import Shape
from starter_model.tokenizer import Tokenizer


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the starter model on generated conversations.")
    parser.add_argument("folder", type=Path, help="where checkpoint and log go; an existing checkpoint is resumed")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the vocabulary (starter_model.tokenizer)")
    parser.add_argument("--minutes", type=float, default=75, help="wall time of the whole training")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--kv-heads", type=int, default=3)
    parser.add_argument("--rows", type=int, default=16, help="rows in a batch")
    parser.add_argument("--length", type=int, default=256, help="tokens in a row")
    parser.add_argument("--long-share", type=float, default=0.0, help="part of the conversations with 5 to 10 turns")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="more only pay on cores that nobody else uses")
    options = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        parser.error("training needs torch: uv pip install -p .venv-train/bin/python --group train -e .")

    import torch

    from starter_model.training import Plan, Trainer

    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(options.vocabulary)
    shape = Shape(len(tokenizer), options.width, options.layers, options.heads, options.kv_heads, options.hidden)
    plan = Plan(options.minutes, options.rows, options.length, options.rate, options.seed, options.long_share)
    trainer = Trainer(shape, tokenizer, plan, options.folder)
    signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
    trainer.run()
    count = sum(parameter.numel() for parameter in trainer.model.parameters())
    print(f"{count / 1e6:.2f} million parameters in {options.folder / 'checkpoint.pt'}")


if __name__ == "__main__":
    main()
