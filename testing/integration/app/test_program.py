"""``pipecatapp serve`` as a person runs it: there at once, honest while it wakes up, gone when told."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

import httpx
import pytest

from testing.fakes.storage import storage_in
from testing.integration.app.conftest import ENDS_WITHIN_S, ROOT, Program

pytestmark = pytest.mark.integration


def test_it_wakes_up_answers_remembers_and_ends(program: Program) -> None:
    program.start()
    # The page is there before the engine and the voice are.
    waking = program.wait(lambda response: True)
    assert waking.status_code in (200, 503)
    if waking.status_code == 503:
        assert any(not part["ok"] and part["reason"] for part in waking.json()["components"].values())
    ready = program.wait(lambda response: response.status_code == 200)
    assert set(ready.json()["components"]) == {"engine", "models", "memory", "stt", "tts"}
    assert program.command("status").returncode == 0

    asked = program.command("ask", "What can you do?", "--conversation", "test-conversation")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
    assert "{" not in asked.stdout

    assert program.end() <= ENDS_WITHIN_S
    assert program.process is not None
    assert program.process.returncode == 0
    assert not (program.state / "serving.json").exists()
    (kept,) = asyncio.run(storage_in(program.state).conversations.load("test-conversation"))
    assert kept.turn.user_text == "What can you do?"
    assert program.health() is None


def test_benchmark_mode_reports_each_turn(program: Program) -> None:
    program.environment["BENCHMARK_MODE"] = "true"
    program.start()
    program.wait(lambda response: response.json()["components"].get("engine", {}).get("ok", False))
    assert program.command("ask", "what time is it").returncode == 0
    program.end()
    log = (program.state / "serve.log").read_text()
    report = r"""--- BENCHMARK RESULTS ---
STT Latency: 0\.0000s
LLM Time to First Token: \d+\.\d{4}s
TTS Time to First Audio: 0\.0000s
Total Pipeline Latency: \d+\.\d{4}s
-------------------------
"""
    assert len(re.findall(report, log)) == 1, log


def test_a_kill_leaves_nothing_that_stops_the_next_start(program: Program) -> None:
    program.start()
    program.wait(lambda response: response.json()["components"].get("engine", {}).get("ok", False))
    program.end(signal.SIGKILL)
    program.start()
    program.wait(lambda response: response.json()["components"].get("engine", {}).get("ok", False))
    assert program.end(signal.SIGINT) <= 10


def test_while_the_engine_is_not_there_it_says_so(program: Program) -> None:
    program.environment["LLM_URL"] = "http://127.0.0.1:9/v1"
    program.start()
    program.wait(lambda response: "engine" in response.json()["components"])
    asked = program.command("ask", "hello")
    assert asked.returncode == 1
    assert "I am still waking up" in asked.stdout


def test_a_wrong_setting_ends_it_with_a_sentence(program: Program) -> None:
    program.environment["STT_SERVICE"] = "siri"
    done = program.command("serve")
    assert done.returncode == 2
    assert "unknown STT_SERVICE 'siri'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_ends_it_with_a_sentence(program: Program) -> None:
    program.start()
    program.wait(lambda response: True)
    second = program.command("serve")
    assert second.returncode == 2
    assert "WEB_PORT" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_server_of_the_model_context_protocol_becomes_tools(program: Program) -> None:
    servers = program.state / "mcp.json"
    demo = {"command": sys.executable, "args": ["-m", "testing.fakes.mcp_server"], "cwd": str(ROOT)}
    demo |= {"autoApprove": ["echo"], "timeout": 60, "type": "stdio"}
    servers.write_text("// as another program writes it\n" + json.dumps({"servers": {"Demo": demo}}))
    program.environment["MCP_SERVERS_FILE"] = str(servers)
    program.start()
    program.wait(lambda response: response.json()["components"].get("mcp", {}).get("ok", False))
    token = (program.state / "token").read_text().strip()
    listed = httpx.get(
        f"http://127.0.0.1:{program.port}/api/tools",
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
    ).json()["tools"]
    assert {"name": "demo.echo", "risk": "act"}.items() <= next(t for t in listed if t["name"] == "demo.echo").items()
    printed = json.loads(program.command("link", "--mcp").stdout)["mcpServers"]["pipecatapp"]
    assert printed["url"] == f"http://127.0.0.1:{program.port}/mcp"
    assert token not in json.dumps(printed)
    assert program.end() <= ENDS_WITHIN_S


def test_a_file_of_servers_that_is_not_there_ends_it_with_a_sentence(program: Program) -> None:
    program.environment["MCP_SERVERS_FILE"] = str(program.state / "mcp.json")
    done = program.command("serve")
    assert done.returncode != 0
    assert "mcp.json cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
