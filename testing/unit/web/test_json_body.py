"""How deep JSON may be, and that asking takes no long."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.web.json_body import MAX_DEPTH, is_too_deep

pytestmark = pytest.mark.unit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, 6))
def test_the_depth_is_that_of_the_value(value: object, limit: int) -> None:
    assert is_too_deep(json.dumps(value).encode(), limit) is (depth(value) > limit)


def test_brackets_in_strings_count_nothing() -> None:
    text = json.dumps({"text": '[{"' * 500, "\\[[": ['\\"[']}).encode()
    assert not is_too_deep(text)
    assert is_too_deep(b"[" * (MAX_DEPTH + 1))
    assert not is_too_deep(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("piece", [b"[],", b'"', b'\\"', b'"\\', b'"[', b'"\\"[', b"{}", b"]"])
def test_no_body_takes_long(piece: bytes) -> None:
    body = piece * (1_000_000 // len(piece))
    began = time.process_time()
    is_too_deep(body)
    assert time.process_time() - began < 5.0
