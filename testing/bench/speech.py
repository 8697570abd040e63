"""How many of 120 texts (money, times, addresses, tables, code ...) become exactly the words that a voice must say."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from pipecatapp.voice.aloud.spoken_copy import SpokenCopy, speak_of
from testing.fakes.spoken_texts import spoken_texts


def main() -> int:
    """Prepare the texts, print what is wrong with them, and a line of JSON."""
    parser = argparse.ArgumentParser(prog="scripts/bench speech", description=(__doc__ or "").partition("\n")[0])
    parser.parse_args()
    texts = spoken_texts()
    speak_of("$1")  # what is loaded at the first number does not count
    total, right = Counter[str](), Counter[str]()
    began = time.perf_counter()
    letters = 0
    for text in texts:
        said = speak_of(text.written)
        total[text.kind] += 1
        right[text.kind] += said == text.spoken
        letters += len(text.written)
        if said != text.spoken:
            print(f"WRONG {text.written!r}\n  said     {said!r}\n  expected {text.spoken!r}")
    seconds = time.perf_counter() - began
    print(f"{'kind':<16}{'texts':>8}{'right':>8}")
    for kind, count in total.items():
        print(f"{kind:<16}{count:>8}{right[kind]:>8}")
    print(f"{'all':<16}{total.total():>8}{right.total():>8}\n")
    result = {
        "prepared": right.total(),
        "texts": total.total(),
        "us_per_character": round(seconds / letters * 1e6, 2),
        "slowest_word_ms": round(_slowest_ms([text.written for text in texts]), 2),
    }
    print(json.dumps(result))
    return 0 if right.total() == total.total() else 1


def _slowest_ms(texts: list[str]) -> float:
    """The longest that one word of a streamed answer takes."""
    slowest = 0.0
    for text in texts:
        copy = SpokenCopy()
        for word in text.split(" "):
            began = time.perf_counter()
            copy.feed(f"{word} ")
            slowest = max(slowest, time.perf_counter() - began)
        copy.finish()
    return slowest * 1000


if __name__ == "__main__":
    sys.exit(main())
