"""The command line: quick help with examples, exit codes, clear refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from pipecatapp.cli.client import serving
from pipecatapp.cli.main import main, program
from pipecatapp.cli.verb import USAGE
from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.extras import EXTRAS, describe, install
from pipecatapp.locks import lock_file
from pipecatapp.settings import Settings, load_settings, printable

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path))


def verbs(verb: click.Command, *words: str) -> Iterator[tuple[list[str], click.Command]]:
    yield list(words), verb
    if isinstance(verb, click.Group):
        for name, below in verb.commands.items():
            yield from verbs(below, *words, name)


ALL = list(verbs(program))


@pytest.mark.parametrize("words", [words for words, _ in ALL], ids=" ".join)
def test_every_verb_explains_itself_with_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"^Example: .*pipecatapp {' '.join(words)}", printed, re.MULTILINE)
    assert main([*words, "-h"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("verb", [verb for _, verb in ALL], ids=lambda verb: verb.name)
def test_every_argument_is_explained(verb: click.Command) -> None:
    for parameter in verb.params:
        assert getattr(parameter, "help", ""), parameter.name


def test_a_verb_of_verbs_alone_is_wrong_usage_and_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory"]) == USAGE
    assert "forget" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pipecatapp.cli.main import main; main(['--help'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pipecat", "fastapi", "httpx", "pydantic", "uvicorn", "asyncio", "yaml"}
    assert heavy.isdisjoint(eval(done.stderr))


def test_wrong_usage_is_2() -> None:
    assert main(["fly"]) == USAGE
    assert main(["ask"]) == USAGE
    assert main(["ask", "hello", "--louder"]) == USAGE


def test_a_wrong_setting_is_named_and_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEB_PORT", "a lot")
    assert main(["settings"]) == USAGE
    assert "WEB_PORT" in capsys.readouterr().err


def test_the_settings_are_printed_and_secrets_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_URL", "http://core:8080/v1")
    monkeypatch.setenv("LLM_API_KEY", "geheim")
    monkeypatch.setenv("NOMAD_TOKEN", "geheim")
    monkeypatch.setenv("CAMERA", "rtsp://owner:geheim@cam/live")
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    assert "LLM_URL=http://core:8080/v1" in printed
    assert "BENCHMARK_MODE=false" in printed
    assert "CAMERA=rtsp://(set)@cam/live" in printed
    assert "geheim" not in printed
    assert "geheim" not in printable(load_settings(), as_json=True)
    assert json.loads(printable(load_settings(), as_json=True))["WEB_PORT"] == 8000


def test_what_the_cluster_says_lies_under_what_a_person_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cluster.env").write_text("NOMAD_ADDR=https://127.0.0.1:4646\nCONSUL_HTTP_ADDR=127.0.0.1:8500\n")
    assert load_settings().nomad_addr == "https://127.0.0.1:4646"
    (tmp_path / "none.env").write_text("CONSUL_HTTP_ADDR=127.0.0.1:9500\n")
    assert load_settings().consul_http_addr == "127.0.0.1:9500"
    assert load_settings().nomad_addr == "https://127.0.0.1:4646"


@pytest.mark.parametrize(
    ("url", "found"),
    [("http://127.0.0.1:8081/v1", "c:8500"), ("http://[::1]:8081/v1", "c:8500"), ("http://core:8081/v1", ""),
     ("http://127.0.0.1:9000/v1", "")],
)  # fmt: skip
def test_experts_are_looked_for_beside_this_pcs_own_engine_only(url: str, found: str) -> None:
    assert load_settings(llm_url=url, consul_http_addr="c:8500").consul == found


def test_an_agent_that_does_not_run_is_said_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEB_PORT", "1")
    assert main(["ask", "hello"]) == 1
    assert "is it running?" in capsys.readouterr().err
    assert main(["status"]) == 1
    assert "does not run" in capsys.readouterr().err
    assert main(["ask", "  "]) == USAGE


def test_the_link_holds_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["link"]) == 0
    links = capsys.readouterr().out.split()
    token = (tmp_path / "token").read_text().strip()
    assert links[-1] == f"http://localhost:8000/?token={token}"
    assert any(link.startswith("https://") and ":8443/" in link for link in links)


def test_the_ports_of_a_running_agent_win_over_the_settings(tmp_path: Path) -> None:
    settings = load_settings()
    state = {"pid": os.getpid(), "host": "127.0.0.1", "port": 12345, "tls_port": 0}
    settings.serving_file.write_text(json.dumps(state))
    assert (serving(settings).port, serving(settings).tls_port) == (12345, 0)
    settings.serving_file.write_text(json.dumps(state | {"pid": 2**22 + 1}))  # it was killed
    assert serving(settings).port == 8000
    settings.serving_file.write_text("{")
    assert serving(settings).port == 8000


def test_the_extras_are_described_and_each_has_its_lock() -> None:
    lines = describe().splitlines()
    assert [line.split()[0] for line in lines] == list(EXTRAS)
    for name in EXTRAS:
        assert "--hash=sha256:" in lock_file(name).read_text()


def test_an_unknown_extra_lists_the_choices() -> None:
    with pytest.raises(UnknownChoiceError, match="whisper"):
        install("siri")
    with pytest.raises(ConfigurationError):
        lock_file("siri")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_failure(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pipecatapp", "settings"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, env=environment, text=True, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_conversation_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "hi", "--conversation", "../etc"]) == USAGE
    assert "'../etc' is no conversation id" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["[]", "{}", '{"ok": true}', "3"])
def test_another_program_at_our_port_is_told(answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    response = httpx.Response(200, text=answer)
    monkeypatch.setattr(httpx, "get", lambda *_, **__: response)
    assert main(["status"]) == 1
    assert main(["status", "--json"]) == 1


@pytest.mark.parametrize("words", [["ask", "hello"], ["status"], ["memory", "list"], ["approvals", "list"]])
def test_who_only_asks_leaves_nothing_behind(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("WEB_PORT", "9")
    assert main(words) != 0
    assert re.search("cannot be reached|does not run", capsys.readouterr().err)
    assert not (tmp_path / "state").exists()
