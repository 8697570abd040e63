"""The forms in which models write tool calls, read into ``ToolCall``.

Ours is that of Hermes and Qwen (protocol.py). Others are written by models that were trained on them, whatever the
prompt says: a list of objects, OpenAI's nested object, Qwen Coder's XML, a name with a JSON object behind it (Mistral,
DeepSeek, GLM), Python's own call syntax in brackets (LFM2, Llama 4).
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from pipecatapp.domain import ToolCall
from pipecatapp.errors import PipecatAppError
from pipecatapp.json_bounds import find_excess

_MAX_PYTHON = 20_000  # characters

NAME_KEYS = ("name", "tool", "function")
ARGUMENT_KEYS = ("arguments", "args", "parameters")
_OTHER_KEYS = ("type", "id")
CALL_KEYS = frozenset({*NAME_KEYS, *ARGUMENT_KEYS, *_OTHER_KEYS})

_NAME = r"[A-Za-z_][\w.-]*"
_FUNCTION = re.compile(rf"<function=\"?({_NAME})\"?>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(rf"<parameter=\"?({_NAME})\"?>(.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)
_PAIR = re.compile(r"<arg_key>([^<]*)</arg_key>\s*<arg_value>((?:(?!<arg_key>|</arg_value>).)*)", re.DOTALL)
# A name, then its object: with Mistral's and DeepSeek's markers between them, or a fence.
_NAMED = re.compile(
    rf"(?:\[TOOL_CALLS\]\s*)?(?:function<\uff5ctool\u2581sep\uff5c>)?({_NAME})\s*"
    r"(?:\[CALL_ID\]\w*\s*)?(?:\[ARGS\]|<\uff5ctool\u2581sep\uff5c>)?\s*(?:```(?:json)?\s*)?(?=\{)"
)
_BETWEEN_NAMED = re.compile(r"(?:\s|```|<\uff5ctool\u2581[a-z\u2581]+\uff5c>)*")
_CONSTANTS = {"true": True, "false": False, "null": None}
_DECODER = json.JSONDecoder(strict=False)


class MalformedCallError(PipecatAppError):
    """The model meant to use a tool and did not write a call. The text says what is wrong with it."""


def read_calls(body: str, schemas: Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
    """The calls in a text that a marker said to be calls; without ids.

    ``schemas`` are the parameters of the tools by name: XML has no types, they say which value is a number.

    Raises:
        MalformedCallError: it holds none, or a broken one; the text is a sentence for the model.
    """
    text = body.strip()
    if text.startswith("<function="):
        return _read_functions(text, schemas)
    if re.match(rf"\[\s*{_NAME}\s*\(", text):
        return read_python(text)
    if named := _read_named(text, schemas):
        return named
    return read_json(body)


def read_json(body: str) -> list[ToolCall]:
    """The call, or the list of calls, in JSON.

    Raises:
        MalformedCallError: it is none.
    """
    start = re.search(r"[\[{]", body)
    if start is None:
        raise MalformedCallError("the call holds no JSON object")
    value, _ = _decode(body, start.start())
    if isinstance(value, list):
        if not value or not all(isinstance(item, dict) for item in value):
            raise MalformedCallError("the call is not one JSON object")
        return [_read_object(item) for item in value]
    if not isinstance(value, dict):
        raise MalformedCallError("the call is not one JSON object")
    return [_read_object(value)]


def is_call(value: object, names: Collection[str]) -> bool:
    """Whether a JSON value that no marker announced has the form of a call, or of a list of calls, to these tools."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and is_call(item, names) for item in value)
    if not isinstance(value, dict) or not CALL_KEYS.issuperset(value):
        return False
    inner = value.get("function")
    if isinstance(inner, dict):
        return is_call(inner, names)
    return _first(value, NAME_KEYS) in names


def read_python(text: str) -> list[ToolCall]:
    """The calls in ``[name(argument="value"), ...]``.

    Raises:
        MalformedCallError: it is something else.
    """
    if len(text) > _MAX_PYTHON:
        raise MalformedCallError("the call is too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            tree = ast.parse(text, mode="eval").body
        calls = tree.elts if isinstance(tree, ast.List) else [tree]
        return [_read_python_call(call) for call in calls]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedCallError("the call is not of the form name(argument=value)") from error


def _read_python_call(node: ast.expr) -> ToolCall:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("no call with named arguments")
    name = ast.unparse(node.func)
    if not re.fullmatch(_NAME, name):
        raise ValueError("no name")
    arguments = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError("no name of an argument")
        value = keyword.value
        known = isinstance(value, ast.Name) and value.id in _CONSTANTS
        arguments[keyword.arg] = _CONSTANTS[value.id] if known else ast.literal_eval(value)  # type: ignore[attr-defined]
    return ToolCall("", name, _check(arguments))


def _read_functions(text: str, schemas: Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
    """``<function=name>`` with ``<parameter=...>`` elements or a JSON object in it, one or several."""
    calls = []
    for name, inner in _FUNCTION.findall(text):
        if inner.lstrip().startswith("{"):
            calls.append(ToolCall("", name, read_arguments(_decode(inner.lstrip())[0])))
            continue
        written = {key: _without_frame(value) for key, value in _PARAMETER.findall(inner)}
        calls.append(ToolCall("", name, _type(written, schemas.get(name, {}))))
    if not calls:
        raise MalformedCallError('the call has no "name"')
    return calls


def _read_named(text: str, schemas: Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
    """A name with a JSON object, with ``<arg_key>`` pairs or (a tool on offer) with nothing behind it."""
    pairs = _PAIR.findall(text)
    if pairs and (name := re.match(_NAME, text)):
        written = {key.strip(): value for key, value in pairs}
        return [ToolCall("", name[0], _type(written, schemas.get(name[0], {})))]
    if text in schemas:
        return [ToolCall("", text, {})]
    calls: list[ToolCall] = []
    at = _skip_between(text, 0)
    while found := _NAMED.match(text, at):
        value, at = _decode(text, found.end())
        calls.append(ToolCall("", found[1], read_arguments(value)))
        at = _skip_between(text, at)
    return calls


def _skip_between(text: str, at: int) -> int:
    between = _BETWEEN_NAMED.match(text, at)
    return between.end() if between else at


def _read_object(value: Mapping[str, Any]) -> ToolCall:
    inner = value.get("function")
    if isinstance(inner, dict):
        return _read_object(inner)
    name = _first(value, NAME_KEYS)
    if not isinstance(name, str) or not name:
        raise MalformedCallError('the call has no "name"')
    return ToolCall("", name, read_arguments(_first(value, ARGUMENT_KEYS)))


def read_arguments(value: object) -> dict[str, Any]:
    """The arguments of a call: an object, or the text of one.

    Raises:
        MalformedCallError: they are something else.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError) as error:
            raise MalformedCallError('the "arguments" are not a JSON object') from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedCallError('the "arguments" are not a JSON object')
    return _check(value)


def _decode(text: str, at: int = 0) -> tuple[Any, int]:
    """The JSON value that begins here, and where it ends."""
    try:
        value, end = _DECODER.raw_decode(text, at)
        # NaN, infinities and halves of characters are read, but nobody behind us could write or send them.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedCallError(f"the call is not valid JSON ({error})") from error
    return value, end


def _check(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, if they can be written down and are not nested too deep."""
    if too_much := find_excess(arguments):
        raise MalformedCallError(f'the "arguments" are {too_much}')
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise MalformedCallError('the "arguments" are not a JSON object') from error
    return arguments


def _type(written: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Values that were written without a type, as the schema wants them; what does not fit stays a text."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    typed: dict[str, Any] = {}
    for name, text in written.items():
        wanted = properties.get(name)
        typed[name] = text
        if isinstance(wanted, dict) and wanted.get("type", "string") != "string":
            try:
                typed[name] = json.loads(text.strip())
            except (ValueError, RecursionError):
                continue
    return _check(typed)


def _without_frame(value: str) -> str:
    """The value of an element without the line ends that only frame it."""
    return value.removeprefix("\n").removesuffix("\n")


def _first(value: Mapping[str, Any], names: Collection[str]) -> Any:
    return next((value[name] for name in names if name in value), None)
