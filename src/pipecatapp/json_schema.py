"""Holds a value against a JSON Schema of known keywords, in a bounded number of steps.

It reads schemas as ``json_schema_reduction.reduce_schema`` leaves them and as our own tools write them: trees without
references. Nothing is compiled and no pattern is tried, so what somebody else wrote cannot run, nor hold anybody up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_STEPS = 20_000
_SAID = 200  # characters of a complaint


def find_problem(schema: Mapping[str, Any], value: Any) -> str | None:
    """What is wrong with a value, as a sentence, or None.

    Args:
        schema: a tree without references; what it says beside the known keywords counts for nothing.
        value: JSON.
    """
    try:
        found = _Check().look(schema, value, "")
    except _EnoughError:
        return "the arguments are more than can be checked"
    return found if found is None or len(found) <= _SAID else f"{found[: _SAID - 1]}\u2026"


class _EnoughError(Exception):
    """It has taken as many steps as it may."""


class _Check:
    """Holds one value against one schema."""

    def __init__(self) -> None:
        self._steps = _STEPS

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise _EnoughError

    def look(self, schema: Mapping[str, Any], value: Any, where: str) -> str | None:
        """The first thing that is wrong; ``where`` is how to get there from the arguments."""
        self._spend(1)
        what = where or "the arguments"
        if "type" in schema and not _is_of(schema["type"], value):
            kinds = schema["type"]
            return f"{what} must be {kinds if isinstance(kinds, str) else ' or '.join(kinds)}"
        if "enum" in schema and not any(self._same(value, choice) for choice in schema["enum"]):
            return f"{what} must be one of {_listed(schema['enum'])}"
        if "const" in schema and not self._same(value, schema["const"]):
            return f"{what} must be {_listed([schema['const']])}"
        return (
            self._measured(schema, value, what)
            or self._members(schema, value, where)
            or self._places(schema, value, where)
            or self._combined(schema, value, where)
        )

    def _measured(self, schema: Mapping[str, Any], value: Any, what: str) -> str | None:
        if isinstance(value, str):
            return _counted(schema, len(value), "Length", what, "characters")
        if isinstance(value, list):
            if schema.get("uniqueItems") and self._repeats(value):
                return f"{what} must not contain the same twice"
            return _counted(schema, len(value), "Items", what, "items")
        if isinstance(value, Mapping):
            return _counted(schema, len(value), "Properties", what, "properties")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value < schema.get("minimum", value):
                return f"{what} must be at least {schema['minimum']}"
            if value > schema.get("maximum", value):
                return f"{what} must be at most {schema['maximum']}"
            if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
                return f"{what} must be more than {schema['exclusiveMinimum']}"
            if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
                return f"{what} must be less than {schema['exclusiveMaximum']}"
        return None

    def _members(self, schema: Mapping[str, Any], value: Any, where: str) -> str | None:
        if not isinstance(value, Mapping):
            return None
        required = schema.get("required", ())
        self._spend(len(required) // 8)
        missing = [name for name in required if name not in value]
        if missing:
            return f"{where or 'the arguments'} must contain {missing!r}"
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, member in value.items():
            inside = f"{where}.{name}" if where else str(name)
            if name in properties:
                found = self.look(properties[name], member, inside)
            elif others is False:
                return f"{where or 'the arguments'} must not contain {name!r}"
            else:
                found = self.look(others, member, inside) if isinstance(others, Mapping) else None
            if found:
                return found
        return None

    def _places(self, schema: Mapping[str, Any], value: Any, where: str) -> str | None:
        if not isinstance(value, list):
            return None
        first, others = schema.get("prefixItems", ()), schema.get("items")
        for place, item in enumerate(value):
            rule = first[place] if place < len(first) else others
            if rule is None:
                break
            if found := self.look(rule, item, f"{where}[{place}]"):
                return found
        return None

    def _combined(self, schema: Mapping[str, Any], value: Any, where: str) -> str | None:
        for rule in schema.get("allOf", ()):
            if found := self.look(rule, value, where):
                return found
        # Of oneOf several may fit here: what told them apart may be among what is not checked.
        for alternatives in (schema[key] for key in ("anyOf", "oneOf") if key in schema):
            first = ""
            for rule in alternatives:
                wrong = self.look(rule, value, where)
                if wrong is None:
                    break
                first = first or wrong
            else:
                return f"{where or 'the arguments'} must be one of what is described; of the first, {first}"
        return None

    def _same(self, one: Any, other: Any) -> bool:
        """Equal as JSON: true is not 1, and 1 is 1.0."""
        self._spend(1)
        if isinstance(one, bool) or isinstance(other, bool):
            return one is other
        if isinstance(one, int | float) and isinstance(other, int | float):
            return one == other
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return one.keys() == other.keys() and all(self._same(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(self._same, one, other))
        return type(one) is type(other) and bool(one == other)

    def _repeats(self, values: Iterable[Any]) -> bool:
        seen: set[str] = set()
        for value in values:
            text = json.dumps(value, sort_keys=True)
            self._spend(1 + len(text) // 64)
            if text in seen:
                return True
            seen.add(text)
        return False


def _is_of(kinds: str | Sequence[str], value: Any) -> bool:
    return any(_IS[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in _IS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


def _counted(schema: Mapping[str, Any], count: int, of: str, what: str, unit: str) -> str | None:
    if count < schema.get(f"min{of}", 0):
        return f"{what} must have at least {schema[f'min{of}']} {unit}"
    if count > schema.get(f"max{of}", count):
        return f"{what} must have at most {schema[f'max{of}']} {unit}"
    return None


def _listed(choices: Sequence[Any]) -> str:
    return "[" + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices[:20]) + "]"
