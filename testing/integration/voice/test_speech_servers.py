"""Speech engines over HTTP: whisper.cpp's server (as a child, too), Piper's and MeloTTS."""

from __future__ import annotations

import json
import stat
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.voice.stt_whispercpp import WhisperCppRecognizer, WhisperCppServer
from pipecatapp.voice.synthesis import pcm_to_wav
from pipecatapp.voice.tts_http import MeloSynthesizer, PiperHttpSynthesizer

pytestmark = pytest.mark.integration


class Server(ThreadingHTTPServer):
    """Answers every POST with what the test wrote down, and remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.answer = 200, b""
        self.asked: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(404, b"")

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(self.server.status, self.server.answer)

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


async def test_whisper_cpp_gets_a_wav_file_and_its_words_come_back(server: Server) -> None:
    server.answer = b'{"text": " What is the status?\\n"}'
    recognizer = WhisperCppRecognizer(server.url)
    await recognizer.load()
    utterance = recognizer.open(lambda _: None)
    utterance.feed(b"\1\0" * 1600)
    assert await utterance.finish() == "What is the status?"
    path, body = server.asked[0]
    assert path == "/inference"
    assert b"RIFF" in body
    server.answer = b'{"text": "[BLANK_AUDIO]"}'
    assert await recognizer.transcribe(b"\0\0" * 1600) == ""
    await recognizer.aclose()


async def test_what_whisper_cpp_is_not_sure_of_is_left_out(server: Server) -> None:
    server.answer = json.dumps(
        {
            "text": "Hi. Thank you. Bye.",
            "segments": [
                {"text": " Hi.", "no_speech_prob": 0.01, "avg_logprob": -0.2},
                {"text": " Thank you.", "no_speech_prob": 0.9, "avg_logprob": -0.2},
                {"text": " Bye.", "no_speech_prob": 0.1, "avg_logprob": -1.4},
            ],
        }
    ).encode()
    recognizer = WhisperCppRecognizer(server.url)
    assert await recognizer.transcribe(b"\0\0" * 1600) == "Hi."
    await recognizer.aclose()


@pytest.mark.parametrize(("status", "answer"), [(500, b"{}"), (200, b"no json"), (200, b"[]"), (200, b'{"error": 1}')])
async def test_a_wrong_answer_of_whisper_cpp_is_a_speech_error(server: Server, status: int, answer: bytes) -> None:
    server.status, server.answer = status, answer
    recognizer = WhisperCppRecognizer(server.url)
    with pytest.raises(SpeechError, match=r"whisper\.cpp at"):
        await recognizer.transcribe(b"\0\0")
    await recognizer.aclose()


CHILD = """#!{python}
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self): self.reply(b"")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply(b'{{"text": "from the child"}}')
        if "{mode}" == "dies": sys.stdout.flush(); __import__("os")._exit(3)
    def reply(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
if "{mode}" == "broken": sys.exit(5)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def child(folder: Path, mode: str) -> WhisperCppServer:
    program = folder / "whisper-server"
    program.write_text(CHILD.format(python=sys.executable, mode=mode))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return WhisperCppServer(program, folder / "model.bin")


async def test_whisper_cpp_runs_as_a_child_and_is_started_again_when_it_dies(tmp_path: Path) -> None:
    recognizer = WhisperCppRecognizer(child(tmp_path, "dies"))
    await recognizer.load()
    for _ in range(3):
        words = []
        while not words:
            # A request may meet the server at its death: that one fails, the next finds a new server.
            try:
                words.append(await recognizer.transcribe(b"\0\0"))
            except SpeechError:
                continue
        assert words == ["from the child"]
    await recognizer.aclose()


async def test_a_child_that_cannot_start_says_so(tmp_path: Path) -> None:
    recognizer = WhisperCppRecognizer(child(tmp_path, "broken"))
    with pytest.raises(SpeechError, match="ended with status 5"):
        await recognizer.load()
    await recognizer.aclose()


async def test_piper_and_melotts_speak_over_http(server: Server) -> None:
    tone = (np.sin(np.arange(22050) / 10) * 8000).astype(np.int16).tobytes()
    server.answer = pcm_to_wav(tone, 22050)
    piper, melo = PiperHttpSynthesizer(server.url, "ryan"), MeloSynthesizer(server.url)
    for voice in (piper, melo):
        await voice.load()
        sound = await voice.say("Hello.")
        assert len(sound) / 2 / 24000 == pytest.approx(1.0, abs=0.05)
        await voice.aclose()
    assert server.asked[0] == ("/", b'{"text":"Hello.","voice":"ryan"}')
    assert server.asked[1][0] == "/convert/tts"
    assert b"EN-US" in server.asked[1][1]


async def test_a_speech_server_that_is_gone_is_a_speech_error(server: Server) -> None:
    voice = PiperHttpSynthesizer("http://127.0.0.1:9")
    with pytest.raises(SpeechError, match="no piper-http server"):
        await voice.load()
    with pytest.raises(SpeechError, match="piper-http at"):
        await voice.say("Hello.")
    await voice.aclose()
    server.status = 503
    voice = PiperHttpSynthesizer(server.url)
    with pytest.raises(SpeechError, match="503"):
        await voice.say("Hello.")
    await voice.aclose()
