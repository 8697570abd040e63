"""`pipecatapp bench` with the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testing.engine_node import link_engines, starter_or_random

pytestmark = pytest.mark.integration


def test_a_model_is_measured_kept_and_shown(tmp_path: Path) -> None:
    link_engines(tmp_path / "engine")
    model = starter_or_random(tmp_path)
    environment = {**os.environ, "STATE_DIR": str(tmp_path), "PIPECATAPP_CONFIG": str(tmp_path / "none.env")}

    def bench(*words: str) -> str:
        command = [sys.executable, "-m", "pipecatapp", "bench", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (measured,) = json.loads(bench("run", "--model", str(model), "--length", "64", "--length", "128", "--json"))
    assert (measured["model"], measured["engine"], measured["machines"]) == (model.stem, "plain", 1)
    for speeds in (measured["prompt"], measured["generated"]):
        assert sorted(speeds) == ["128", "64"]
        assert min(speeds.values()) > 0
    assert measured["load_s"] > 0
    assert measured["engine_mb"] > 5
    assert measured["build"].startswith("debian-")
    shown = bench("show")
    assert f"{measured['load_s']:.1f} s" in shown
    assert "prompts of 64, 128 tokens" in shown
    assert json.loads((tmp_path / "benchmarks.json").read_text()) == [measured]
