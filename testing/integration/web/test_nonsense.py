"""Whoever was let in can send nonsense, too: a route answers it with a sentence, never with an error of the server."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

NUMBERS = ["-1", "9" * 19, str(2**63), str(2**53), "9" * 5000, "1e999", "x", "", "\x00", "1_0", "\u0663"]
TEXTS = ["", "\x00", "../..", "%2e%2e%2f", "a" * 3000, "\ud800", "\u202e", "'\"<>", "{}", "nul\x00l"]
DEEP = "[" * 600 + "]" * 600
BODIES = [
    "", "[", "null", "[]", "{}", DEEP, "[" * 100_000, '{"a":' * 1000, '{"conversation": NaN}', "9" * 5000, "\xff\xfe",
    '{"conversation": "c-0123456789", "text": "\\ud800"}',
    '{"conversation": "c-0123456789", "text": "x", "text": 5}',
    f'{{"decision": "approve", "digest": "{"0" * 64}", "arguments": {{"a": {DEEP}}}}}',
    f'{{"decision": "approve", "digest": "{"0" * 64}", "arguments": {{"a": {"[" * 60}{"]" * 60}}}}}',
    f'{{"decision": "approve", "digest": "{"0" * 64}", "arguments": {{"a": 1e999}}}}',
    '{"text": "\\ud800", "kind": "\\u0000"}',
    '{"save_name": "../x"}', '{"save_name": "\\ud800"}', '{"expert": "\\u0000", "conversation": "c"}',
    '{"messages": [{"role": "user", "content": "\\ud800"}]}',
    f'{{"messages": [{{"role": "user", "content": {DEEP}}}]}}',
    '{"messages": [{"role": "user", "content": [{"type": "text", "text": null}]}], "stop": [[]]}',
]  # fmt: skip
QUERIES = ["/api/memory?offset={}", "/api/memory?limit={}", "/api/audit?before={}", "/api/audit?limit={}"]
PATHS = [
    "/api/memory/{}/history", "/api/pictures/{}.png", "/v1/models/{}", "/api/memory?query={}", "/api/memory?kind={}",
    "/api/experts?conversation={}",
]  # fmt: skip
WRITES = [
    ("POST", "/api/messages"), ("POST", "/api/interrupt"), ("POST", "/api/pause"), ("POST", "/api/approvals/x"),
    ("POST", "/api/memory"), ("POST", "/api/memory/import"), ("PUT", "/api/memory/x"), ("POST", "/api/state/save"),
    ("POST", "/api/state/load"), ("POST", "/api/experts/choose"), ("POST", "/v1/chat/completions"),
]  # fmt: skip


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_no_number_or_text_in_a_url_breaks_a_route(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for templates, values in ((QUERIES, NUMBERS), (PATHS, TEXTS)):
        for template in templates:
            for value in values:
                url = httpx.URL(template.replace("{}", "")).copy_with(raw_path=quoted(template, value))
                answer = await http.get(url)
                assert answer.status_code < 500, (template, value)
    assert errors(caplog) == []


def quoted(template: str, value: str) -> bytes:
    encoded = "".join(f"%{byte:02x}" for byte in value.encode("utf-8", "surrogatepass"))
    return template.replace("{}", encoded).encode()


async def test_no_body_breaks_a_route(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    for method, path in WRITES:
        for body in BODIES:
            content = body.encode("latin-1") if "\xff" in body else body.encode()
            answer = await http.request(method, path, content=content, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (path, body[:200], answer.text)
    assert errors(caplog) == []


async def test_a_body_that_is_nested_too_deep_is_told_so(http: httpx.AsyncClient) -> None:
    rest = json.dumps({"decision": "approve", "digest": "0" * 64}).removeprefix("{")
    body = f'{{"arguments": {{"a": {DEEP}}}, {rest}'
    answer = await http.post("/api/approvals/x", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "nested more than" in answer.json()["error"]["message"]


async def test_an_offset_beyond_all_facts_is_refused_or_empty(http: httpx.AsyncClient, mission: Mission) -> None:
    assert (await http.get("/api/memory?offset=999999999")).json()["facts"] == []
    assert (await http.get(f"/api/memory?offset={2**63}")).status_code == 400
