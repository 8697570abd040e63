"""Copy-constrained decoding: a GBNF grammar for one request, in which a model cannot invent what it should copy.

The answer is free words, or one tool call in the form of ``prompt.tool_call_text``: a name that exists now, arguments
in the order of the schema, and each argument that the tool declares as ``copied`` a span of the request. Spans begin
and end at words or signs. The grammar grows linearly with the request and the tools.

Everything else that a schema can ask for (numbers, choices, free strings, nested values) is any JSON of that type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pipecatapp.domain import ToolSpec
from pipecatapp.twin.speak.protocol import TOOL_CALL_CLOSE, TOOL_CALL_OPEN
from pipecatapp.twin.understand.routing import ROUTE

_BEFORE_ARGUMENTS = '", "arguments": {'
_MOST_ATOMS = 2000  # words and signs; behind them a request has nothing to copy
_ATOM = re.compile(r"\w+|[^\w\s]")

# Words never open a marker (<tool_call>, <think>, </...>) and never begin as JSON: those are not for the ear.
_SPEECH = r"""speech ::= ( [^<{] | "<" [^t/<|] ) ( [^<] | "<" [^t/<|] )*"""

_JSON_RULES = r"""
string ::= "\"" char* "\""
char ::= [^"\\\x00-\x1F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] )
integer ::= "-"? ( "0" | [1-9] [0-9]* )
number ::= integer ( "." [0-9]+ )? ( [eE] [-+]? [0-9]+ )?
boolean ::= "true" | "false"
array ::= "[" ( value ( ", " value )* )? "]"
object ::= "{" ( string ": " value ( ", " string ": " value )* )? "}"
value ::= string | number | boolean | "null" | array | object
""".strip()


def turn_grammar(tools: Sequence[ToolSpec], experts: Sequence[str], request: str) -> str:
    """The grammar of one message of the model.

    Args:
        tools: those that may be called now; none: words only.
        experts: those that ``route_to_expert`` may name; its query is always the whole request.
        request: the person's words, without the context around them.

    Returns:
        GBNF whose root is ``root``.
    """
    builder = _Builder(request.strip())
    calls = [rule for index, tool in enumerate(tools) if (rule := builder.tool(f"t{index}", tool, experts))]
    if not calls:
        return f"root ::= speech\n{_SPEECH}\n"
    opening, closing = _literal(f'{TOOL_CALL_OPEN}\n{{"name": "'), _literal(f"}}}}\n{TOOL_CALL_CLOSE}")
    head = ["root ::= speech | call", _SPEECH, f"call ::= {opening} ( {' | '.join(calls)} ) {closing}"]
    return "\n".join([*head, *builder.rules, *builder.span_rules(), _JSON_RULES]) + "\n"


def rest_of_words() -> str:
    """The grammar of what follows words that were spoken already: more words, or the end."""
    return """root ::= ( [^<] | "<" [^t/<|] )*\n"""


class _Builder:
    """Collects the rules of one grammar."""

    def __init__(self, request: str) -> None:
        self.rules: list[str] = []
        self._request = request
        self._atoms = [(match.start(), match.end()) for match in islice(_ATOM.finditer(request), _MOST_ATOMS)]
        self._spans_used = False

    def tool(self, rule: str, tool: ToolSpec, experts: Sequence[str]) -> str:
        """Add the rules of a tool's call; the name of the first, or nothing when the tool cannot be called now."""
        properties: Mapping[str, Mapping[str, Any]] = tool.parameters.get("properties", {})
        required = set(tool.parameters.get("required", ()))
        pairs: list[tuple[str, bool]] = []
        for name, schema in properties.items():
            value = self._value(tool, name, schema, experts)
            if value:
                pairs.append((f"{_literal(json.dumps(name) + ': ')} {value}", name in required))
            elif name in required:
                return ""
        self.rules.append(f"{rule} ::= {_literal(tool.name + _BEFORE_ARGUMENTS)} {rule}-f0")
        self._object(rule, pairs)
        return rule

    def _object(self, rule: str, pairs: Sequence[tuple[str, bool]]) -> None:
        """The members in their order, optional ones present or not: ``f`` before the first one, ``n`` behind it."""
        nothing_yet = True  # whether a call can come here without an argument before
        for index, (pair, is_required) in enumerate(pairs):
            behind = f"{rule}-n{index + 1}"
            if nothing_yet:
                skip = "" if is_required else f" | {rule}-f{index + 1}"
                self.rules.append(f"{rule}-f{index} ::= {pair} {behind}{skip}")
            if index:
                skip = "" if is_required else f" | {behind}"
                self.rules.append(f'{rule}-n{index} ::= ", " {pair} {behind}{skip}')
            nothing_yet = nothing_yet and not is_required
        end = len(pairs)
        if nothing_yet:
            self.rules.append(f'{rule}-f{end} ::= ""')
        if pairs:
            self.rules.append(f'{rule}-n{end} ::= ""')

    def _value(self, tool: ToolSpec, name: str, schema: Mapping[str, Any], experts: Sequence[str]) -> str:
        """What the value may be; nothing when there is no such value."""
        if tool.name == ROUTE and name == "expert":
            return _choice(experts)
        if tool.name == ROUTE and name == "query":
            return _literal(json.dumps(self._request, ensure_ascii=False)) if self._request else ""
        if "enum" in schema:
            return _choice(schema["enum"])
        if name in tool.copied:
            self._spans_used = self._spans_used or bool(self._atoms)
            return r'"\"" span "\""' if self._atoms else ""
        kind = schema.get("type")
        return kind if kind in ("string", "integer", "number", "boolean", "array", "object") else "value"

    def span_rules(self) -> list[str]:
        """One rule per word or sign: itself, then the end of the span or the rest of the request."""
        if not self._spans_used:
            return []
        rules = [f"span ::= {' | '.join(f's{index}' for index in range(len(self._atoms)))}"]
        last = len(self._atoms) - 1
        for index, (start, end) in enumerate(self._atoms):
            atom = _literal(_json_inside(self._request[start:end]))
            if index == last:
                rules.append(f"s{index} ::= {atom}")
                continue
            gap = self._request[end : self._atoms[index + 1][0]]
            between = f"{_literal(_json_inside(gap))} " if gap else ""
            rules.append(f"s{index} ::= {atom} ( {between}s{index + 1} )?")
        return rules


def _choice(values: Sequence[Any]) -> str:
    if not values:
        return ""
    return f"( {' | '.join(_literal(json.dumps(value, ensure_ascii=False)) for value in values)} )"


def _json_inside(text: str) -> str:
    """A string as JSON writes it between the quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _literal(text: str) -> str:
    """A GBNF string."""
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'
