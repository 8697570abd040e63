"""What others wrote does not steer the terminal, whichever verb prints it."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import pipecatapp.cli
from pipecatapp.cli.main import main
from pipecatapp.cli.terminal import PrintableFormatter, printable, say
from pipecatapp.llm.status import EngineStatus, write_status

pytestmark = pytest.mark.unit

# Move the cursor, set the title, answer in the person's name (device status), 8-bit CSI, turn the direction around.
NASTY = ["\x1b[2J", "\x1b]0;pwned\x07", "\x1b[6n", "\x9b31m", "\x90q\x9c", "\u202e", "\u2066", "\x08", "\x7f", "\x00"]
HOSTILE = "before" + "".join(NASTY) + "after"


def steers(text: str) -> bool:
    return any(
        (ord(sign) < 32 and sign not in "\n\t") or 126 < ord(sign) < 160 or sign in "\u202e\u2066" for sign in text
    )


@pytest.mark.parametrize("sequence", NASTY)
def test_no_sequence_gets_through(sequence: str) -> None:
    assert not steers(printable(f"a{sequence}b"))
    assert not steers(printable(f"a{sequence}b", lines=True))
    assert printable(f"a{sequence}b").startswith("a\ufffd")


@pytest.mark.parametrize("text", ["Grüße, 東京", "a\u00a0b\u202fc", "👩\u200d🚀", "सर्वशक्ति\u200dमान", "→ ½ €"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_lines_stay_only_where_they_may() -> None:
    assert printable("a\nb\tc\r\n", lines=True) == "a\nb\tc\n"
    assert printable("12  note\n13  forged") == "12  note\ufffd13  forged"


def test_half_of_a_character_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\ud800b")
    assert capsys.readouterr().out == "a\ufffdb\n"


def test_nothing_in_the_command_line_prints_past_it() -> None:
    folder = Path(pipecatapp.cli.__file__).parent
    found = {
        (file.name, ast.unparse(call.func))
        for file in folder.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("print", "click.echo", "sys.stdout.write")
    }
    # An export that no terminal shows is written as it is.
    assert found == {("terminal.py", "print"), ("memory.py", "sys.stdout.write")}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Answers:
    """Stands for an agent that others told hostile things."""

    def __init__(self) -> None:
        self.by_path: dict[str, Any] = {}

    def request(self, method: str, url: str, **_: Any) -> httpx.Response:
        answer = self.by_path[httpx.URL(url).path]
        if isinstance(answer, httpx.Response):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return httpx.Response(200, text=text, request=httpx.Request(method, url))

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.request("GET", url, **more)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answers:
    answers = Answers()
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setattr(httpx, "request", answers.request)
    monkeypatch.setattr(httpx, "get", answers.get)
    return answers


FACT = {"id": 1, "kind": HOSTILE, "text": f"{HOSTILE}\n     2  2026-01-01  note     forged", "created_at": 0}
CALL = {
    "id": HOSTILE, "tool": HOSTILE, "risk": HOSTILE, "sentence": HOSTILE, "arguments": {HOSTILE: HOSTILE},
    "detail": HOSTILE, "conversation": HOSTILE, "digest": HOSTILE, "expires_at": 0,
}  # fmt: skip
HEALTH = {"ok": 1, "role": "alone", "version": HOSTILE}
REFUSAL = httpx.Response(400, json={"error": {"message": HOSTILE}}, request=httpx.Request("GET", "http://x"))


@pytest.mark.parametrize(
    ("words", "path", "answer"),
    [
        (["status"], "/health", {**HEALTH, "components": {HOSTILE: {"ok": 0, "reason": HOSTILE}}}),
        (["status", "--json"], "/health", {**HEALTH, "components": {}}),
        (["memory", "list"], "/api/memory", {"total": 1, "facts": [FACT]}),
        (["memory", "search", "x"], "/api/memory", {"total": 1, "facts": [FACT]}),
        (["memory", "export", "-"], "/api/memory/export", json.dumps(FACT, ensure_ascii=False)),
        (["memory", "forget", "1"], "/api/memory/1", {"forgotten": HOSTILE}),
        (["memory", "import", "/dev/null"], "/api/memory/import",
         {"added": 0, "merged": 0, "refused": [[1, HOSTILE]]}),
        (["memory", "list"], "/api/memory", REFUSAL),
        (["approvals", "list"], "/api/approvals", {"approvals": [CALL]}),
        (["approvals", "list", "--json"], "/api/approvals", {"approvals": [CALL]}),
    ],
)  # fmt: skip
def test_every_verb_prints_it_harmless(
    agent: Answers, words: list[str], path: str, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.by_path[path] = answer
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    main(words)
    assert "before" in screen.getvalue()
    assert not steers(screen.getvalue())


def test_a_fact_cannot_look_like_two(agent: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    agent.by_path["/api/memory"] = {"total": 1, "facts": [FACT]}
    main(["memory", "list"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_an_export_into_a_file_is_as_it_is(agent: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    agent.by_path["/api/memory/export"] = json.dumps(FACT, ensure_ascii=False)
    main(["memory", "export", "-"])
    assert json.loads(capsys.readouterr().out) == FACT


def test_the_engine_cannot_steer_it_either(agent: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "engine").mkdir()
    write_status(tmp_path / "engine/status.json", EngineStatus("failed", HOSTILE, model=HOSTILE))
    main(["engine", "status"])
    printed = capsys.readouterr().out
    assert "before" in printed
    assert not steers(printed)


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent whose model answers with sequences, cut anywhere."""
    pieces = [HOSTILE[at : at + 3] for at in range(0, len(HOSTILE), 3)]
    events: list[dict[str, Any]] = [{"type": "replayed"}]
    events += [{"type": "delta", "turn": "t", "text": piece} for piece in [*pieces, "\r\n", "end"]]
    events.append({"type": "assistant", "turn": "t"})

    class Socket:
        def __enter__(self) -> Socket:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def recv(self, timeout: float) -> str:
            return json.dumps(events.pop(0))

    monkeypatch.setattr("pipecatapp.cli.client.connect", lambda *_, **__: Socket())


def test_an_answer_is_printed_harmless(talking: None, agent: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    agent.by_path["/api/messages"] = {"turn": "t"}
    assert main(["ask", "hello"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("after\nend\n")
    assert not steers(printed)


def test_the_log_on_a_terminal_is_harmless() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "a server said %s", (HOSTILE,), None)
    line = PrintableFormatter("%(levelname)s %(message)s").format(record)
    assert line.startswith("INFO a server said before")
    assert not steers(line)
