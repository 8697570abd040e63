"""A PC from 2006 hears a question and answers a typed one, with the engine that such a PC gets at first.

The app, its recognizer and Debian's llama-server all run emulated. The build for the PC's own processor that later
takes that engine's place would need hours of emulation and is not made here.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testing.engine_node import unpacked_engine
from testing.oldcpu.emulator import CPUS, LAUNCHER, ROOT, emulated_python, emulator, environment, run_python
from testing.ports import free_port

pytestmark = [pytest.mark.oldcpu, pytest.mark.timeout(600)]

MODEL = Path(os.environ.get("OLDCPU_MODEL", ROOT / "models/starter.gguf"))


@contextmanager
def running(command: list[str], log: Path, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    said = "nothing"
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}"
        try:
            health = httpx.get(f"{url}/health", timeout=30, trust_env=False)
        except httpx.TransportError as error:
            said = repr(error)
        else:
            said = health.text
            if health.status_code == 200:
                return
        time.sleep(0.5)
    pytest.fail(f"not healthy after {wait_s} s: {said}\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(params=CPUS)
def cpu(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine_url(cpu: str, tmp_path: Path) -> Iterator[str]:
    """Debian's llama-server with the starter model, emulated."""
    engine = unpacked_engine()
    port = free_port()
    options = ["--model", str(MODEL), "--alias", "starter", "--host", "127.0.0.1", "--port", str(port), "--jinja"]
    options += ["--ctx-size", "4096", "--parallel", "2", "--threads", "1", "--slot-save-path", str(tmp_path)]
    command = [*emulator(cpu), *engine.command, *options]
    log = tmp_path / "engine.log"
    with running(command, log, engine.folder or tmp_path, dict(environment())) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}", process, log, 120)
        yield f"http://127.0.0.1:{port}/v1"


def test_a_spoken_question_is_detected_and_understood(cpu: str, tmp_path: Path) -> None:
    spoken, padded = tmp_path / "spoken.wav", tmp_path / "question.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", "what can you do", "-o", str(spoken)], check=True)
    subprocess.run(["sox", spoken, "-r", "16000", "-c", "1", "-b", "16", padded, "pad", "0.3", "0.7"], check=True)
    program = [str(LAUNCHER), str(emulated_python(cpu, tmp_path)), str(LAUNCHER.with_name("hear.py")), str(padded)]
    result = run_python(cpu, program, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    heard = json.loads(result.stdout.strip().splitlines()[-1])
    assert heard["speech_s"] > 0.5
    assert "what can you do" in heard["words"]


def test_a_typed_question_is_answered(cpu: str, engine_url: str, tmp_path: Path) -> None:
    port = free_port()
    state = tmp_path / "state"
    env = dict(
        environment(
            STATE_DIR=str(state), LLM_URL=engine_url, WEB_HOST="127.0.0.1", WEB_PORT=str(port), WEB_TLS_PORT="0"
        )
    )
    command = [*emulator(cpu), str(ROOT / ".venv/bin/python"), str(LAUNCHER)]
    command += [str(emulated_python(cpu, tmp_path)), "pipecatapp", "serve"]
    log = tmp_path / "app.log"
    with running(command, log, tmp_path, env) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}", process, log, 300)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            headers={"Authorization": f"Bearer {(state / 'token').read_text().strip()}"},
            json={"model": "pipecatapp", "messages": [{"role": "user", "content": "who are you"}]},
            timeout=240,
            trust_env=False,
        )
    assert answer.status_code == 200, answer.text
    assert "starter" in answer.json()["choices"][0]["message"]["content"].lower()
