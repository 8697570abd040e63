"""Every default dependency imports together with all others in one process, and so does every extra that is here.

Wheels that resolve can still fail beside each other (two copies of a library, a build for another CPU); only
importing them shows it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What each requirement is imported as; a new requirement must be added here, else the first test fails.
MODULES = {
    "pipecat-ai": ["pipecat.pipeline.pipeline", "pipecat.audio.vad.silero"],
    "numpy": ["numpy"],
    "onnxruntime": ["onnxruntime"],
    "pocketsphinx": ["pocketsphinx"],
    "num2words": ["num2words"],
    "tokenizers": ["tokenizers"],
    "threadpoolctl": ["threadpoolctl"],
    "faiss-cpu": ["faiss"],
    "fastapi": ["fastapi"],
    "uvicorn": ["uvicorn", "uvloop", "httptools", "websockets"],
    "click": ["click"],
    "httpx": ["httpx"],
    "pydantic-settings": ["pydantic_settings"],
    "PyYAML": ["yaml"],
    "cryptography": ["cryptography.x509"],
    "idna": ["idna"],
    "ifaddr": ["ifaddr"],
    "snowballstemmer": ["snowballstemmer.english_stemmer"],
    "tzdata": ["tzdata"],
    "prometheus-client": ["prometheus_client"],
    "tzlocal": ["tzlocal"],
    "python-dateutil": ["dateutil.rrule", "dateutil.easter"],
    "text2num": ["text_to_num"],
    "simpleeval": ["simpleeval"],
    "pint": ["pint"],
    "nats-py": ["nats"],
    "sounddevice": ["sounddevice"],
    "paramiko": ["paramiko"],
    "docker": ["docker"],
    "mcp": ["mcp"],
    "playwright": ["playwright.async_api"],
    "opencv-python-headless": ["cv2"],
    "sentence-transformers": ["sentence_transformers"],
    "faster-whisper": ["faster_whisper"],
    "kokoro-onnx": ["kokoro_onnx"],
    "RealtimeSTT": ["RealtimeSTT"],
    "torch": ["torch"],
    "torchaudio": ["torchaudio"],
    "llama-cpp-python": ["llama_cpp"],
}


# These cannot be installed within a test run: 5 GB of torch with CUDA; a compilation of many minutes.
ELSEWHERE = ["realtimestt", "sentence-transformers", "llama-cpp"]
TOGETHER = sorted(set(PROJECT["optional-dependencies"]) - set(ELSEWHERE))


def modules(requirements: list[str]) -> list[str]:
    """The modules of these requirements."""
    return [module for requirement in requirements for module in MODULES[Requirement(requirement).name]]


def import_together(python: Path | str, names: list[str]) -> subprocess.CompletedProcess[str]:
    """Import the modules in one fresh interpreter, in this order."""
    program = "\n".join(f"import {name}" for name in names) + "\nprint('imported together')"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=240)


def test_default_set_imports_together() -> None:
    result = import_together(sys.executable, modules(PROJECT["dependencies"]))
    assert result.stdout.strip().endswith("imported together"), result.stderr


def test_speech_extras_import_together_with_the_default_set() -> None:
    python = ROOT / ".cache/extras/bin/python"
    assert python.exists(), "run scripts/setup extras"
    wanted = [name for extra in TOGETHER for name in modules(PROJECT["optional-dependencies"][extra])]
    result = import_together(python, modules(PROJECT["dependencies"]) + wanted)
    assert result.stdout.strip().endswith("imported together"), result.stderr


def run_with_extras(tests: str, limit_s: float) -> subprocess.CompletedProcess[str]:
    """These tests in the environment that has the extras."""
    command = [str(ROOT / ".cache/extras/bin/python"), "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", tests]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s)


def test_speech_extras_work_on_their_models() -> None:
    """The tests that this environment skips, where the extras are installed."""
    result = run_with_extras("testing/integration/voice/test_extras.py", 280)
    assert result.returncode == 0, result.stdout
    assert "skipped" not in result.stdout.splitlines()[-1]


@pytest.mark.timeout(700)
def test_the_real_ears_and_the_real_voice_understand_each_other() -> None:
    result = run_with_extras("testing/integration/voice/test_real_models.py", 660)
    assert result.returncode == 0, result.stdout
    if "skipped" in result.stdout.splitlines()[-1]:
        pytest.skip(next(line for line in result.stdout.splitlines() if line.startswith("SKIPPED")))


@pytest.mark.parametrize("extra", ELSEWHERE)
def test_large_extra_imports_where_it_is_installed(extra: str) -> None:
    wanted = modules(PROJECT["optional-dependencies"][extra])
    absent = [name for name in wanted if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"too large for a test run: {', '.join(absent)} (pipecatapp extras install {extra})")
    result = import_together(sys.executable, modules(PROJECT["dependencies"]) + wanted)
    assert result.stdout.strip().endswith("imported together"), result.stderr
