"""The tokenizer: byte-fallback pieces merged by score, exactly as llama.cpp's "llama" tokenizer (SPM) does it.

A value must look the same in the request and in the tool call that copies it, or a small model cannot copy. So pieces
are runs of letters, digits and signs stand alone, and a blank joins only a whole common word, last of all. The
protocol's markers, tool names and the JSON between arguments are one token each.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice, pairwise
from pathlib import Path

from starter_model.turns import TOOLS

BLANK = "\u2581"
UNKNOWN, BOS, END_OF_TEXT = "<unk>", "<s>", "</s>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
ROLE_STARTS = tuple(f"{IM_START}{role}\n" for role in ("system", "user", "assistant"))

_RUN = re.compile(r"[A-Za-z]+|.", re.DOTALL)


class Kind(IntEnum):
    """Token types as GGUF numbers them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Token:
    """One entry of the vocabulary; normal pieces merge in the order of their scores."""

    text: str
    score: float
    kind: Kind


def protocol_strings() -> list[str]:
    """The strings that are one token each wherever they stand."""
    strings = [
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "[remembered]",
        "[camera]",
        "[request]",
        "\n- ",
    ]
    strings += ['\n{"name": "', '", "arguments": {}}\n', '"}}\n', "}}\n"]
    arguments = list(dict.fromkeys(argument for names in TOOLS.values() for argument in names))
    strings += [f'", "arguments": {{"{argument}": "' for argument in arguments if argument != "seconds"]
    strings += [f'", "{argument}": ' + ("" if argument == "seconds" else '"') for argument in arguments]
    for tool in TOOLS:
        strings += [tool, f" {tool}"]
    return strings


class Tokenizer:
    """Text to token ids and back."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tuple(tokens)
        self.ids = {token.text: number for number, token in enumerate(tokens)}
        self._scores = {token.text: token.score for token in tokens if token.kind is Kind.NORMAL}
        special = [t.text for t in tokens if t.kind in (Kind.USER_DEFINED, Kind.CONTROL)]
        # llama.cpp cuts out the longest special strings first.
        self._special = re.compile(
            "(" + "|".join(re.escape(text) for text in sorted(special, key=len, reverse=True)) + ")"
        )
        self._known_special = set(special)
        self._cache: dict[str, list[int]] = {}
        self.end = self.ids[IM_END]

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The token ids of ``text``; markers are recognized."""
        out: list[int] = []
        for part in self._special.split(text):
            if part in self._known_special:
                out.append(self.ids[part])
                continue
            blank = False
            for run in _RUN.findall(part.replace(" ", BLANK)):
                if run == BLANK:
                    if blank:
                        out.append(self.ids[BLANK])
                    blank = True
                    continue
                out += self._run((BLANK if blank else "") + run)
                blank = False
            if blank:
                out.append(self.ids[BLANK])
        return out

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; control tokens are shown."""
        out = bytearray()
        for number in ids:
            token = self.tokens[number]
            if token.kind is Kind.BYTE:
                out.append(int(token.text[3:5], 16))
            else:
                text = token.text.replace(BLANK, " ") if token.kind is Kind.NORMAL else token.text
                out += text.encode()
        return out.decode("utf-8", errors="replace")

    def _run(self, run: str) -> list[int]:
        known = self._cache.get(run)
        if known is None:
            pieces = list(run)
            while len(pieces) > 1:
                pairs = [
                    (self._scores.get(pieces[i] + pieces[i + 1], float("-inf")), -i) for i in range(len(pieces) - 1)
                ]
                score, at = max(pairs)
                if score == float("-inf"):
                    break
                pieces[-at : -at + 2] = [pieces[-at] + pieces[-at + 1]]
            known = []
            for piece in pieces:
                known += (
                    [self.ids[piece]]
                    if piece in self._scores
                    else [self.ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
                )
            self._cache[run] = known
        return known

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        rows = [[token.text, token.score, int(token.kind)] for token in self.tokens]
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read what ``save`` wrote."""
        rows = json.loads(path.read_text(encoding="utf-8"))
        return cls([Token(text, score, Kind(kind)) for text, score, kind in rows])


def train(texts: Iterable[str], merges: int = 1150, blank_words: int = 850) -> Tokenizer:
    """Learn a vocabulary: ``merges`` pieces inside words, then ``blank_words`` common words that carry their blank."""
    tokens = [Token(UNKNOWN, 0.0, Kind.UNKNOWN), Token(BOS, 0.0, Kind.CONTROL), Token(END_OF_TEXT, 0.0, Kind.CONTROL)]
    tokens += [Token(f"<0x{byte:02X}>", 0.0, Kind.BYTE) for byte in range(256)]
    tokens += [Token(text, 0.0, Kind.CONTROL) for text in (IM_START, IM_END, *ROLE_STARTS)]
    tokens += [Token(text, 0.0, Kind.USER_DEFINED) for text in protocol_strings()]
    # Single characters never merge into anything by score, they only have to exist.
    singles = [BLANK, "\n", *map(chr, range(33, 127))]
    tokens += [Token(text, -1e6 - number, Kind.NORMAL) for number, text in enumerate(singles)]
    special = re.compile(
        "|".join(
            re.escape(t.text)
            for t in sorted(tokens, key=lambda t: -len(t.text))
            if t.kind in (Kind.CONTROL, Kind.USER_DEFINED)
        )
    )
    runs: Counter[str] = Counter()
    with_blank: Counter[str] = Counter()
    for text in texts:
        plain = special.sub("\0", text)
        runs.update(re.findall(r"[A-Za-z]+", plain))
        with_blank.update(re.findall(r"(?<= )[A-Za-z]+", plain))
    learned = _learn_merges(runs, merges)
    tokens += [Token(piece, -1.0 - number, Kind.NORMAL) for number, piece in enumerate(learned)]
    whole = set(learned) | {"a", "i", "I", "x", "A"}
    common = [word for word, _ in sorted(with_blank.items(), key=lambda item: (-item[1], item[0])) if word in whole][
        :blank_words
    ]
    tokens += [Token(BLANK + word, -1e5 - number, Kind.NORMAL) for number, word in enumerate(common)]
    while len(tokens) % 32:
        tokens.append(Token(f"<|spare_{len(tokens)}|>", 0.0, Kind.CONTROL))
    return Tokenizer(tokens)


def _learn_merges(runs: Counter[str], merges: int) -> list[str]:
    """Byte-pair encoding over words, most frequent pair first."""
    splits = {word: list(word) for word, count in runs.items() if count > 1}
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for word, pieces in splits.items():
        for pair in pairwise(pieces):
            pairs[pair] += runs[word]
            where[pair].add(word)
    learned: dict[str, None] = {}
    while len(learned) < merges and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        learned.setdefault("".join(best))
        for word in sorted(where[best]):
            pieces = splits[word]
            for pair in pairwise(pieces):
                pairs[pair] -= runs[word]
                where[pair].discard(word)
            merged: list[str] = []
            for piece in pieces:
                if merged and (merged[-1], piece) == best:
                    merged[-1] += piece
                else:
                    merged.append(piece)
            splits[word] = merged
            for pair in pairwise(merged):
                pairs[pair] += runs[word]
                where[pair].add(word)
        del pairs[best]
    return list(learned)


def main() -> None:
    """Learn the vocabulary from the corpus."""
    from starter_model.corpus import Conversations, render

    parser = argparse.ArgumentParser(description="Learn the starter model's vocabulary from the generated corpus.")
    parser.add_argument("output", type=Path, help="where to write the vocabulary (JSON)")
    parser.add_argument("--conversations", type=int, default=12000)
    parser.add_argument("--merges", type=int, default=1150)
    parser.add_argument("--blank-words", type=int, default=850)
    options = parser.parse_args()
    texts = (render(conversation) for conversation in islice(Conversations(seed=11), options.conversations))
    tokenizer = train(texts, options.merges, options.blank_words)
    tokenizer.save(options.output)
    print(f"{len(tokenizer)} tokens in {options.output}")


if __name__ == "__main__":
    main()
