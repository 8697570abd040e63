"""JSON Schemas of other people: reduced to data, and arguments held against them, with an end whatever they hold."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pipecatapp.errors import SchemaError
from pipecatapp.json_bounds import MAX_DEPTH, find_excess
from pipecatapp.json_schema import find_problem
from pipecatapp.json_schema_reduction import LARGEST, LONGEST, reduce_schema

pytestmark = pytest.mark.unit

ELSEWHERE = {"$ref": "http://127.0.0.1:9/schema.json"}


def with_property(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, **more}


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


# Reducing.


def test_what_is_known_stays_in_its_order() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Where."},
            "mode": {"enum": ["a", "b"], "default": "a"},
            "lines": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3, "uniqueItems": True},
            "when": {"type": "string", "format": "date-time"},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    assert json.dumps(reduce_schema(schema)) == json.dumps(schema)


@pytest.mark.parametrize(
    "schema",
    [
        with_property(ELSEWHERE),
        with_property({"$ref": "file:///etc/passwd"}),
        with_property({"$ref": "other.json#/a"}),
        with_property({"$ref": ["#/$defs/a"]}),
        {"type": "object", "allOf": [ELSEWHERE]},
        with_property({"items": [{"type": "string"}, ELSEWHERE]}),
        with_property({"additionalProperties": ELSEWHERE}),
        with_property({"$ref": "#/$defs/b"}, **{"$defs": {"b": ELSEWHERE}}),
    ],
)
def test_a_reference_to_another_document_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError, match="refers to another document"):
        reduce_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        with_property({"default": ELSEWHERE}),
        with_property({"enum": [ELSEWHERE, [ELSEWHERE]]}),
        with_property({"const": ELSEWHERE}),
        with_property({"properties": {"$ref": {"type": "string"}}}),
        with_property({"examples": [ELSEWHERE], "not": ELSEWHERE, "if": ELSEWHERE, "x-more": [[ELSEWHERE]]}),
        with_property({"dependencies": {"a": ELSEWHERE}}),
        with_property({"type": "string"}, **{"$defs": {"never used": ELSEWHERE}}),
    ],
)
def test_what_only_looks_like_a_reference_is_data(schema: Any) -> None:
    found = reduce_schema(schema)
    assert find_problem(found, {"a": ELSEWHERE}) is None or find_problem(found, {"a": "x"}) is None
    assert "http" not in json.dumps({key: value for key, value in found.items() if key == "$defs"})


def test_a_property_may_be_called_ref() -> None:
    found = reduce_schema({"type": "object", "properties": {"$ref": {"type": "string"}}, "required": ["$ref"]})
    assert find_problem(found, {"$ref": "http://127.0.0.1:9/"}) is None
    assert find_problem(found, {"$ref": 1}) == "$ref must be string"


@pytest.mark.parametrize("broken", [{"$ref": "http://h/"}, {"a": [[ELSEWHERE]]}, {"a": "string"}, ["a"]])
def test_properties_that_are_no_schemas_are_refused(broken: Any) -> None:
    with pytest.raises(SchemaError, match="broken"):
        reduce_schema({"type": "object", "properties": broken})


def test_references_are_put_in_their_place() -> None:
    found = reduce_schema(
        {
            "$ref": "#/$defs/call",
            "$defs": {
                "call": {"type": "object", "properties": {"at": {"$ref": "#/$defs/a~1b%20c", "description": "Where."}}},
                "a/b c": {"type": "integer", "minimum": 1},
            },
        }
    )
    assert found["properties"] == {"at": {"type": "integer", "minimum": 1, "description": "Where."}}
    assert find_problem(found, {"at": 0}) == "at must be at least 1"
    assert "$" not in json.dumps(found)


def test_beside_a_reference_other_rules_count_too() -> None:
    found = reduce_schema(
        with_property({"$ref": "#/$defs/n", "minimum": 5}, **{"$defs": {"n": {"type": "integer", "minimum": 1}}})
    )
    assert find_problem(found, {"a": 3}) == "a must be at least 5"
    assert find_problem(found, {"a": "x"}) == "a must be integer"


def test_what_holds_itself_is_checked_once_around() -> None:
    node = {"type": "object", "properties": {"text": {"type": "string"}, "parts": {"items": {"$ref": "#/$defs/n"}}}}
    found = reduce_schema(with_property({"$ref": "#/$defs/n"}, **{"$defs": {"n": node}}))
    assert find_problem(found, {"a": {"text": "x", "parts": [{"text": "y", "parts": []}]}}) is None
    assert find_problem(found, {"a": {"text": 1}}) == "a.text must be string"
    assert len(json.dumps(found)) < 500
    again = reduce_schema({"type": "object", "properties": {"child": {"$ref": "#"}}})
    assert find_problem(again, {"child": {"child": {}}}) is None


@pytest.mark.parametrize(
    "definitions",
    [
        {"a": {"$ref": "#/$defs/a"}},
        {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/c"}, "c": {"$ref": "#/$defs/a"}},
    ],
)
def test_a_loop_of_references_is_refused(definitions: Any) -> None:
    with pytest.raises(SchemaError, match="leads to itself"):
        reduce_schema(with_property({"$ref": "#/$defs/a"}, **{"$defs": definitions}))


def test_a_loop_through_combinations_ends() -> None:
    definitions = {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}
    found = reduce_schema(with_property({"$ref": "#/$defs/a"}, **{"$defs": definitions}))
    assert find_problem(found, {"a": 1}) is None


@pytest.mark.parametrize("pointer", ["#/$defs/none", "#a", "#/properties/a/x", "#/allOf/99999999999", "#" + "/x" * 500])
def test_a_reference_to_nothing_is_refused(pointer: str) -> None:
    with pytest.raises(SchemaError, match="not in it"):
        reduce_schema(with_property({"$ref": pointer}, allOf=[{}]))


def doubling(levels: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)
    }
    return with_property({"$ref": "#/$defs/d0"}, **{"$defs": {**definitions, f"d{levels}": {"type": "null"}}})


def deep(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = with_property(schema)
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (doubling(13), "larger than"),
        (doubling(150), "within each other"),
        (deep(40), "within each other"),
        (deep(300), "nested more than"),
        (with_property({"enum": ["x" * LONGEST]}), f"larger than {LONGEST}"),
        (with_property({"enum": list(range(1001))}), "more than 1000 choices"),
        ({"type": "object", "properties": {f"p{n}": {} for n in range(201)}}, "more than 200 properties"),
        (with_property({"anyOf": [{}] * 201}), "more than 200 alternatives"),
        ({"type": "object", "properties": {"x" * 129: {}}}, "name of a property"),
        ({"type": "object", "properties": {"a\u202eb": {}}}, "name of a property"),
        ({"type": "object", "required": ["a\n"]}, "name of a property"),
        (with_property({"enum": ["a\u202eb"]}), "cannot be shown"),
        (with_property({"type": "str"}), "type in it does not exist"),
        (with_property({"minimum": "3"}), "is not a number"),
        (with_property({"maxLength": -1}), "is not a count"),
        (with_property({"const": float("nan")}), "as JSON"),
        (with_property({"$dynamicRef": "#x"}), "dynamic references"),
        ({"type": "array", "items": {}}, "not an object"),
        (with_property({"uniqueItems": "yes"}), "yes or no"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_broken_or_too_much_is_refused_at_once(schema: Any, said: str) -> None:
    began = time.process_time()
    with pytest.raises(SchemaError) as caught:
        reduce_schema(schema)
    assert said in str(caught.value)
    assert time.process_time() - began < 1.0


def test_what_is_large_is_counted_with_its_references_in_place() -> None:
    text = {"enum": ["x" * 5000]}
    properties = {f"p{n}": {"$ref": "#/$defs/long"} for n in range(20)}
    with pytest.raises(SchemaError, match=f"larger than {LARGEST}"):
        reduce_schema({"type": "object", "properties": properties, "$defs": {"long": text}})


def test_a_pattern_is_told_and_never_tried() -> None:
    found = reduce_schema(with_property({"type": "string", "pattern": "^(a+)+$", "description": "A word."}))
    assert found["properties"]["a"] == {"type": "string", "description": "A word. (pattern: ^(a+)+$)"}
    began = time.process_time()
    assert find_problem(found, {"a": "a" * 5000 + "!"}) is None
    assert time.process_time() - began < 1.0
    assert "pattern" not in json.dumps(reduce_schema(with_property({"pattern": "(" * 500})))


def test_conditions_are_left_to_the_server() -> None:
    found = reduce_schema(
        with_property(
            {"not": {"type": "string"}, "if": {}, "then": {"type": "null"}, "propertyNames": {"pattern": "x"}},
            patternProperties={"^x": {}},
            additionalProperties=False,
        )
    )
    assert found["properties"]["a"] == {}
    assert find_problem(found, {"a": "x", "xy": 1}) is None


def test_a_description_is_one_bounded_line() -> None:
    found = reduce_schema(with_property({"description": "One.\n\x1b[31m\u202eTwo. " + "x" * 5000}))
    described = found["properties"]["a"]["description"]
    assert described.startswith("One. [31m Two. xxx")
    assert len(described) == 400


# Checking.


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ({"type": "integer"}, "3", "a must be integer"),
        ({"type": "integer"}, 3.0, None),
        ({"type": "integer"}, True, "a must be integer"),
        ({"type": ["string", "null"]}, 1, "a must be string or null"),
        ({"enum": [1, "x"]}, True, 'a must be one of [1, "x"]'),
        ({"enum": []}, None, "a must be one of []"),
        ({"const": {"k": [1]}}, {"k": [1.0]}, None),
        ({"minimum": 1}, 0, "a must be at least 1"),
        ({"exclusiveMaximum": 1}, 1, "a must be less than 1"),
        ({"maxLength": 2}, "xyz", "a must have at most 2 characters"),
        ({"minItems": 1}, [], "a must have at least 1 items"),
        ({"uniqueItems": True}, [{"k": 1}, {"k": 1}], "a must not contain the same twice"),
        ({"items": {"type": "string"}}, ["x", 1], "a[1] must be string"),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "null"}}, ["x", 1], "a[1] must be null"),
        ({"required": ["k"]}, {}, "a must contain ['k']"),
        ({"properties": {"k": {"type": "null"}}}, {"k": 1}, "a.k must be null"),
        ({"additionalProperties": {"type": "null"}}, {"k": 1}, "a.k must be null"),
        ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, 1, "of the first, a must be string"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, None),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 3, "a must be at most 2"),
    ],
)
def test_values_are_held_against_their_rules(rule: Any, value: Any, said: str | None) -> None:
    found = find_problem(reduce_schema(with_property(rule)), {"a": value})
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_a_check_ends_after_so_many_steps() -> None:
    alternatives = {"anyOf": [*[{"properties": {"k": {"type": "null"}}}] * 100, {}]}
    schema = reduce_schema(with_property({"items": alternatives}))
    began = time.process_time()
    assert find_problem(schema, {"a": [{"k": 1}] * 9000}) == "the arguments are more than can be checked"
    assert (
        find_problem(reduce_schema(with_property({"uniqueItems": True})), {"a": [[n] for n in range(19_000)]}) is None
    )
    assert time.process_time() - began < 2.0


def test_a_complaint_is_short() -> None:
    schema = reduce_schema(with_property({"enum": ["x" * 5000]}, required=["y" * 100] * 100))
    assert len(find_problem(schema, {"a": "z"}) or "") <= 200
    assert len(find_problem({"additionalProperties": False}, {"x" * 10_000: 1}) or "") <= 200


def test_how_much_a_value_holds_is_bounded() -> None:
    assert find_excess({"a": nested(MAX_DEPTH - 1)}) == ""
    assert find_excess(nested(600)) == f"nested more than {MAX_DEPTH} deep"
    assert find_excess([0] * 19_999) == ""
    assert find_excess([[0] * 100] * 200) == "more than 20000 values"
    assert find_excess("x" * 100_000) == ""
