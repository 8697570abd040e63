"""A small recognizer for GBNF, enough for the grammars that we write: does a text belong to the language?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<set>\[(?:[^\]\\]|\\.)*\])
      | (?P<name>[A-Za-z0-9-]+)
      | (?P<sign>[()|*+?])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Node = tuple[str, object]


@dataclass
class Grammar:
    """The rules of a grammar."""

    rules: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Grammar:
        """Read the text; every rule that is used must be defined, as llama.cpp wants it."""
        grammar = cls()
        for line in text.split("\n"):
            if line.strip():
                name, body = line.split(" ::=", 1)
                assert name not in grammar.rules, f"rule {name} is defined twice"
                grammar.rules[name] = _Parser(body).whole()
        used = {name for node in grammar.rules.values() for name in _names(node)}
        assert used <= grammar.rules.keys(), f"undefined rules: {used - grammar.rules.keys()}"
        unreachable = grammar.rules.keys() - used - {"root"}
        assert not [name for name in unreachable if re.fullmatch(r"[st]\d.*", name)], (
            f"rules nobody uses: {unreachable}"
        )
        return grammar

    def matches(self, text: str) -> bool:
        """Whether the whole text belongs to ``root``."""
        return len(text) in self._ends(("name", "root"), text, 0, {})

    def _ends(self, node: Node, text: str, at: int, memo: dict[tuple[str, int], set[int]]) -> set[int]:
        kind, value = node
        if kind == "name":
            key = (str(value), at)
            if key not in memo:
                memo[key] = self._ends(self.rules[str(value)], text, at, memo)
            return memo[key]
        if kind == "string":
            literal = str(value)
            return {at + len(literal)} if text.startswith(literal, at) else set()
        if kind == "set":
            assert isinstance(value, re.Pattern)
            return {at + 1} if at < len(text) and value.fullmatch(text[at]) else set()
        if kind == "or":
            assert isinstance(value, list)
            return set().union(*(self._ends(branch, text, at, memo) for branch in value))
        if kind == "all":
            assert isinstance(value, list)
            ends = {at}
            for part in value:
                ends = set().union(*(self._ends(part, text, end, memo) for end in ends))
            return ends
        assert isinstance(value, tuple)
        found = self._ends(value, text, at, memo) if kind == "+" else {at}
        fresh = set(found) if kind in "*+" else self._ends(value, text, at, memo)
        if kind == "?":
            return found | fresh
        while fresh:
            fresh = set().union(*(self._ends(value, text, end, memo) for end in fresh)) - found
            found |= fresh
        return found


class _Parser:
    def __init__(self, body: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while body[at:].strip():
            match = _TOKEN.match(body, at)
            assert match is not None, f"not GBNF: {body[at:]}"
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self._at = 0

    def whole(self) -> Node:
        node = self._choice()
        assert self._at == len(self._tokens), "brackets do not match"
        return node

    def _choice(self) -> Node:
        branches: list[Node] = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else ("or", branches)

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            kind, text = self._tokens[self._at]
            self._at += 1
            if text == "(" and kind == "sign":
                node = self._choice()
                assert self._peek() == ")"
                self._at += 1
            else:
                node = _leaf(kind, text)
            while self._peek() in ("*", "+", "?"):
                node = (self._peek(), node)
                self._at += 1
            parts.append(node)
        return "all", parts

    def _peek(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._at]
        return text if kind == "sign" else "value"


def _leaf(kind: str, text: str) -> Node:
    if kind == "string":
        return kind, re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
    return (kind, re.compile(text)) if kind == "set" else (kind, text)


def _names(node: Node) -> set[str]:
    kind, value = node
    if kind == "name":
        return {str(value)}
    if isinstance(value, list):
        return set().union(*map(_names, value)) if value else set()
    return _names(value) if isinstance(value, tuple) else set()
