"""How many values a message of an MCP server may hold: who reads millions of them does nothing else for seconds."""

from __future__ import annotations

import json

import pytest

from pipecatapp.tools.mcp_servers.messages import VALUES, has_too_many_values

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("value", ["{}", "[]", "1", '""', '{"type": "text", "text": "x, y"}', "[[]]"])
def test_a_message_of_many_values_is_not_read(value: str) -> None:
    for count, too_many in ((VALUES // 3, False), (VALUES + 1, True)):
        line = f'{{"jsonrpc": "2.0", "id": 1, "result": {{"content": [{",".join([value] * count)}]}}}}'
        assert has_too_many_values(line.encode()) is too_many


@pytest.mark.parametrize("text", [",", '",', "\\,", '\\",[', "\u2028,", "\n,"])
def test_a_long_text_is_one_value(text: str) -> None:
    assert not has_too_many_values(json.dumps({"text": text * (VALUES + 1), "more": [1, 2]}).encode())


def test_a_text_that_never_ends_hides_nothing() -> None:
    assert has_too_many_values(b'{"id": 1, "x": [' + b"1," * VALUES + b'"')
