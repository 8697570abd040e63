"""A JSON Schema that somebody else wrote, reduced to what is known here (``json_schema`` holds arguments against it).

Nothing is fetched, compiled or matched: no resolver, no generated code, no regular expression. An allow-list of
keywords stays, and what a reference names is put in its place, so that the result is a tree without references. What
that makes is counted on the way, and ends it when it is too much: the work is bounded on any machine.

What is left out (patterns, conditions) is for whoever wrote the schema to check: the rest accepts more, never less.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from pipecatapp.errors import SchemaError
from pipecatapp.json_bounds import find_excess

LONGEST = 16_000  # characters of a schema as it was written
LARGEST = 32_000  # about as many of what becomes of it, with its references in place
DEEPEST = 32  # schemas and references within each other
DESCRIPTION = 400  # characters
_MEMBERS = 200  # properties of an object, alternatives, places of a list
_CHOICES = 1000
_NAME = 128
_HINT = 80  # of a pattern, which is told and never tried
_WRITTEN_DEPTH = 100
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
# They lead to a schema that only a reader of the whole dialect finds.
_UNKNOWN = ("$dynamicRef", "$recursiveRef")
# Beside these, a name that ``properties`` does not list can be meant all the same.
_OPEN = ("$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "dependencies", "patternProperties")


def reduce_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of arguments without references, of known keywords only, its root of type object.

    Raises:
        SchemaError: it is broken, refers to something outside of itself, or is too large. Names nothing of it.
    """
    try:
        written = json.dumps(schema, allow_nan=False, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise SchemaError("it cannot be written as JSON") from error
    if len(written) > LONGEST:
        raise SchemaError(f"it is larger than {LONGEST} characters")
    if too_much := find_excess(schema, _WRITTEN_DEPTH):
        raise SchemaError(f"it is {too_much}")
    found = _Reduction(schema).root()
    kind = found.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise SchemaError("what it describes is not an object")
    found["type"] = "object"
    found.setdefault("properties", {})
    if any(key in schema for key in _OPEN):
        found.setdefault("additionalProperties", True)
    return found


def one_line(text: str, limit: int) -> str:
    """Printable, on one line, not longer than it may be."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"


class _Reduction:
    """The way through one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._size = 0
        self._readers: dict[str, Callable[[Any, int, frozenset[str]], Any]] = {
            "type": lambda value, *_: _type(value),
            "properties": self._properties,
            "required": lambda value, *_: _names(value),
            "additionalProperties": self._flag_or_schema,
            "items": self._items,
            "prefixItems": self._schemas,
            "anyOf": self._schemas,
            "oneOf": self._schemas,
            "allOf": self._schemas,
            "enum": lambda value, *_: self._choices(value),
            "const": lambda value, *_: self._value(value),
            "description": lambda value, *_: self._words(value),
            "default": lambda value, *_: self._default(value),
            "format": lambda value, *_: _format(value),
            "uniqueItems": lambda value, *_: _flag(value),
            **dict.fromkeys(
                ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), lambda value, *_: _limit(value)
            ),
            **dict.fromkeys(
                ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
                lambda value, *_: _count(value),
            ),
        }

    def root(self) -> dict[str, Any]:
        return self._schema(self._document, 0, frozenset({"#"}))

    def _spend(self, characters: int) -> None:
        self._size += characters
        if self._size > LARGEST:
            raise SchemaError(f"with its references in place it is larger than {LARGEST} characters")

    def _schema(self, raw: Any, depth: int, above: frozenset[str]) -> dict[str, Any]:
        """One schema. ``above`` holds the references that it stands within."""
        if isinstance(raw, bool):
            return {} if raw else {"enum": []}
        if not isinstance(raw, Mapping):
            raise SchemaError("it is broken: there is something else where a schema belongs")
        if depth > DEEPEST:
            raise SchemaError(f"it has more than {DEEPEST} schemas and references within each other")
        if any(key in raw for key in _UNKNOWN):
            raise SchemaError("it uses dynamic references, which cannot be checked here")
        self._spend(16)
        found: dict[str, Any] = {}
        for key, value in raw.items():
            if (reader := self._readers.get(key)) is None:
                continue
            read = reader(value, depth + 1, above)
            if read is not None:
                found["prefixItems" if key == "items" and isinstance(read, list) else key] = read
        if isinstance(raw.get("pattern"), str):
            # Trying it could take for ever; a model may want to know it.
            self._hint(found, raw["pattern"])
        if "patternProperties" in raw and found.get("additionalProperties") is False:
            found["additionalProperties"] = True
        return self._with_reference(raw, found, depth, above) if "$ref" in raw else found

    def _with_reference(
        self, raw: Mapping[str, Any], found: dict[str, Any], depth: int, above: frozenset[str]
    ) -> dict[str, Any]:
        """What ``$ref`` names, and what stands beside it."""
        target, pointer = self._target(raw["$ref"])
        # A list of lists of lists is fine; what goes deeper than once is checked by whoever wrote it.
        named = {} if pointer in above else self._schema(target, depth + 1, above | {pointer})
        both = named.keys() & found.keys() - {"description", "default"}
        return {"allOf": [named, found]} if any(named[key] != found[key] for key in both) else named | found

    def _target(self, pointer: Any) -> tuple[Any, str]:
        """The schema that a reference within the document names, behind further ones, and where it stands."""
        passed: set[str] = set()
        while True:
            if not isinstance(pointer, str) or not pointer.startswith("#"):
                raise SchemaError("it refers to another document")
            if pointer in passed:
                raise SchemaError("a reference in it leads to itself")
            passed.add(pointer)
            target = self._at(pointer)
            if not (isinstance(target, Mapping) and set(target) == {"$ref"}):
                return target, pointer
            pointer = target["$ref"]

    def _at(self, pointer: str) -> Any:
        place: Any = self._document
        steps = unquote(pointer[1:]).split("/")
        if steps[0] or len(steps) > _WRITTEN_DEPTH:
            raise SchemaError("it refers to something that is not in it")
        for step in steps[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, Mapping) and name in place:
                place = place[name]
            elif isinstance(place, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(place):
                place = place[int(name[:6])]
            else:
                raise SchemaError("it refers to something that is not in it")
        return place

    def _properties(self, value: Any, depth: int, above: frozenset[str]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise SchemaError("it is broken: properties is not an object")
        _few(value, "properties")
        for name in value:
            _name(name)
            self._spend(len(name) + 4)
        return {name: self._schema(schema, depth, above) for name, schema in value.items()}

    def _schemas(self, value: Any, depth: int, above: frozenset[str]) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise SchemaError("it is broken: a list of schemas is none")
        _few(value, "alternatives or places")
        return [self._schema(schema, depth, above) for schema in value]

    def _items(self, value: Any, depth: int, above: frozenset[str]) -> Any:
        # Until 2019 a list here meant what prefixItems means now.
        return self._schemas(value, depth, above) if isinstance(value, list) else self._schema(value, depth, above)

    def _flag_or_schema(self, value: Any, depth: int, above: frozenset[str]) -> Any:
        return value if isinstance(value, bool) else self._schema(value, depth, above)

    def _choices(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise SchemaError("it is broken: enum is not a list")
        _few(value, "choices", _CHOICES)
        return [self._value(choice) for choice in value]

    def _value(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False)
        self._spend(len(text) + 2)
        if not text.isprintable():
            raise SchemaError("a value in it has signs that cannot be shown")
        return value

    def _default(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False)
        self._spend(len(text))
        return value if text.isprintable() else None

    def _words(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        text = one_line(value, DESCRIPTION)
        self._spend(len(text))
        return text

    def _hint(self, found: dict[str, Any], pattern: str) -> None:
        if pattern.isprintable() and len(pattern) <= _HINT:
            self._spend(len(pattern))
            found["description"] = f"{found.get('description', '')} (pattern: {pattern})".strip()


def _type(value: Any) -> str | list[str]:
    names = value if isinstance(value, list) else [value]
    if not names or len(names) > len(_TYPES) or not all(isinstance(name, str) and name in _TYPES for name in names):
        raise SchemaError("it is broken: a type in it does not exist")
    return list(names) if isinstance(value, list) else str(value)


def _names(value: Any) -> list[str] | None:
    if isinstance(value, bool):  # as in the third draft, beside the property
        return None
    if not isinstance(value, list):
        raise SchemaError("it is broken: required is not a list")
    _few(value, "required properties")
    for name in value:
        _name(name)
    return list(value)


def _name(name: Any) -> None:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _NAME:
        raise SchemaError("the name of a property in it is too long, or cannot be shown")


def _few(members: Sequence[Any] | Mapping[str, Any], what: str, limit: int = _MEMBERS) -> None:
    if len(members) > limit:
        raise SchemaError(f"it has more than {limit} {what} in one place")


def _limit(value: Any) -> int | float | None:
    if isinstance(value, bool):  # exclusiveMinimum of the fourth draft
        return None
    if not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise SchemaError("it is broken: a limit in it is not a number")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise SchemaError("it is broken: a length in it is not a count")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise SchemaError("it is broken: there is something else where yes or no belongs")
    return value


def _format(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 30 and value.isascii() and value.isprintable() else None
