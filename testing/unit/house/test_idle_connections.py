"""Nobody keeps a connection to a model server: it closes idle ones just when the next request may leave."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pipecatapp

pytestmark = pytest.mark.unit

SOURCE = Path(pipecatapp.__file__).parent
BENCH = Path(__file__).parents[2] / "bench"
CLIENTS = ("httpx.AsyncClient", "httpx.Client", "httpx.AsyncHTTPTransport", "httpx.HTTPTransport")
# Consul is asked without a pause, a hub keeps its promise; one request each: Moondream, a start that is awaited.
ELSEWHERE = {
    "cluster/consul.py", "llm/download.py", "llm/index.py", "vision/moondream.py", "bench/latency.py",
    "bench/footprint.py",
}  # fmt: skip


def keeps(call: ast.Call) -> bool:
    """Whether a client may keep connections."""
    limits = next((word.value for word in call.keywords if word.arg == "limits"), None)
    return limits is None or not (isinstance(limits, ast.Name) or "max_keepalive_connections=0" in ast.unparse(limits))


def test_no_client_of_a_model_server_keeps_a_connection() -> None:
    found = set()
    for root, files in ((SOURCE, SOURCE.rglob("*.py")), (BENCH.parent, BENCH.glob("*.py"))):
        for file in files:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in CLIENTS and keeps(node):
                    found.add(file.relative_to(root).as_posix())
    assert found <= ELSEWHERE
