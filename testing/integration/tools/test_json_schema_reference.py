"""Our check of arguments against a library's: never stricter on what anybody may write, the same on what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from pipecatapp.errors import SchemaError
from pipecatapp.json_schema import find_problem
from pipecatapp.json_schema_reduction import reduce_schema

pytestmark = pytest.mark.integration

NAMES = st.sampled_from(["a", "b", "$ref", "enum"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, 2.0]), st.text("ab", max_size=3)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null"])
KEPT: dict[str, st.SearchStrategy[Any]] = {
    "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(VALUES, min_size=1, max_size=3),
    "const": VALUES.filter(lambda value: value is not None),
    "minimum": st.integers(-2, 2),
    "maximum": st.integers(-2, 2),
    "exclusiveMinimum": st.integers(-2, 2),
    "exclusiveMaximum": st.integers(-2, 2),
    "minLength": st.integers(0, 3),
    "maxLength": st.integers(0, 3),
    "minItems": st.integers(0, 3),
    "maxItems": st.integers(0, 3),
    "minProperties": st.integers(0, 3),
    "maxProperties": st.integers(0, 3),
    "required": st.lists(NAMES, max_size=2, unique=True),
}
LEFT: dict[str, st.SearchStrategy[Any]] = {
    "pattern": st.sampled_from(["^a", "b$"]),
    "multipleOf": st.sampled_from([2, 3]),
    "format": st.just("date"),
    "uniqueItems": st.booleans(),  # 1 and 1.0 are told apart here
}


def schemas(*, more: bool, references: bool = False) -> st.SearchStrategy[Any]:
    plain = st.fixed_dictionaries({}, optional=KEPT | LEFT if more else KEPT)

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        many = st.lists(inner, min_size=1, max_size=3)
        kept = {
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "prefixItems": many,
            "anyOf": many,
            "allOf": many,
        }
        left = {
            "oneOf": many,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "contains": inner,
            "propertyNames": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "^b"]), inner, max_size=1),
            "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
        }
        if references:  # to definitions without any: the library dies of loops
            left["$ref"] = st.sampled_from(["#/$defs/one", "#/$defs/two"])
        return st.fixed_dictionaries({}, optional=kept | left if more else kept) | plain | st.booleans()

    return st.recursive(plain, around, max_leaves=8)


def accepted(schema: Any, value: Any) -> bool:
    return Draft202012Validator(schema, registry=Registry()).is_valid(value)


@settings(max_examples=150, deadline=None)
@given(schemas(more=False), VALUES)
def test_what_is_kept_is_checked_alike(schema: Any, value: Any) -> None:
    whole = {"type": "object", "properties": {"v": schema}}
    assert (find_problem(reduce_schema(whole), {"v": value}) is None) == accepted(whole, {"v": value})


@settings(max_examples=150, deadline=None)
@given(schemas(more=True, references=True), schemas(more=True), schemas(more=True), VALUES)
def test_what_is_left_out_only_makes_it_milder(schema: Any, one: Any, two: Any, value: Any) -> None:
    whole = {"type": "object", "properties": {"v": schema}, "$defs": {"one": one, "two": two}}
    try:
        found = reduce_schema(whole)
    except SchemaError:
        return
    if accepted(whole, {"v": value}):
        assert find_problem(found, {"v": value}) is None
