"""Speech services by name: what each needs, and which is the best here.

| STT | needs |
|---|---|
| `faster-whisper` | extra `whisper`, a CPU with SSE4.1, a faster-whisper model in `MODELS_DIR` |
| `whispercpp` | `WHISPERCPP_URL`, or `whisper-server` on the PATH and a `ggml-*.bin` in `MODELS_DIR` |
| `realtimestt` | extra `realtimestt` (torch), a CPU with SSE4.1, a faster-whisper model; never chosen by `auto` |
| `pocketsphinx` | nothing |

| TTS | needs |
|---|---|
| `kokoro` | extra `kokoro`, its model and voices in `MODELS_DIR` |
| `piper` | Debian's `espeak-ng`, a voice in `MODELS_DIR` |
| `piper-http` | `PIPER_URL` (Piper stays a program of its own) |
| `melotts` | `MELOTTS_URL` |
| `flite`, `espeak-ng` | Debian's packages of these names |
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipecatapp.choices import Choice, is_installed
from pipecatapp.errors import ConfigurationError, MissingExtraError, UnknownChoiceError
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.synthesis import Synthesizer
from pipecatapp.voice.tts_fallback import FallbackSynthesizer

AUTO = "auto"


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What this CPU can do."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


@dataclass(frozen=True)
class Environment:
    """What the choice depends on. The defaults look at this machine.

    ``models`` is searched for model files at any depth, so that it does not matter who put them there.
    """

    models: Path
    voice: str = ""
    whispercpp_url: str = ""
    piper_url: str = ""
    melotts_url: str = ""
    flags: frozenset[str] = field(default_factory=cpu_flags)
    installed: Callable[[str], bool] = is_installed
    which: Callable[[str], str | None] = shutil.which

    def find(self, pattern: str, *siblings: str) -> Path | None:
        """The first file of this pattern that has the siblings beside it."""
        if not self.models.is_dir():
            return None
        for file in sorted(self.models.rglob(pattern)):
            if all(any(file.parent.glob(sibling.format(name=file.name))) for sibling in siblings):
                return file
        return None


class _UnavailableError(Exception):
    """Why a choice cannot be made here; ``error`` is what a person who asked for it by name is told."""

    def __init__(self, error: ConfigurationError) -> None:
        super().__init__(str(error))
        self.error = error


def _nothing(where: Environment) -> Sequence[object]:
    return []


@dataclass(frozen=True, slots=True)
class SpeechChoice(Choice):
    """One backend.

    Attributes:
        arguments: looks for what else it needs, and returns the arguments of the class; or raises _UnavailableError.
        auto: ``auto`` may take it.
        sse41: its packages end the program on a CPU without SSE4.1, at their import.
    """

    arguments: Callable[[Environment], Sequence[object]] = _nothing
    auto: bool = True
    sse41: bool = False

    def arguments_for(self, name: str, where: Environment) -> Sequence[object]:
        """What the class is made with here.

        Raises:
            _UnavailableError: it cannot work here.
        """
        if self.sse41 and "sse4_1" not in where.flags:
            message = f"{name} needs a CPU with SSE4.1 and this one has none; use STT_SERVICE=whispercpp"
            raise _UnavailableError(ConfigurationError(message))
        try:
            self.need_extra(name, where.installed)
        except MissingExtraError as error:
            raise _UnavailableError(error) from None
        return self.arguments(where)


def _need_model(found: Path | None, what: str, model: str) -> Path:
    if found is None:
        message = f"{what} has no model in MODELS_DIR; run: pipecatapp models pull {model}"
        raise _UnavailableError(ConfigurationError(message))
    return found


def _need_url(url: str, what: str, setting: str) -> str:
    if not url:
        raise _UnavailableError(ConfigurationError(f"{what} needs {setting}, the URL of its server"))
    return url


def _need_program(where: Environment, program: str) -> None:
    if where.which(program) is None:
        raise _UnavailableError(ConfigurationError(f"{program} is not installed; run: apt install {program}"))


def _whisper(name: str) -> Callable[[Environment], Sequence[object]]:
    def arguments(where: Environment) -> Sequence[object]:
        found = where.find("model.bin", "config.json", "tokenizer.json")
        return [_need_model(found, name, "faster-whisper-tiny.en").parent]

    return arguments


def _whispercpp(where: Environment) -> Sequence[object]:
    from pipecatapp.voice.stt_whispercpp import WhisperCppServer

    if where.whispercpp_url:
        return [where.whispercpp_url]
    program = where.which("whisper-server")
    if program is None:
        message = "whispercpp needs WHISPERCPP_URL, or whisper-server on the PATH (Debian: whisper.cpp-tools)"
        raise _UnavailableError(ConfigurationError(message))
    model = _need_model(where.find("ggml-*.bin"), "whispercpp", "whisper-cpp-tiny-en")
    return [WhisperCppServer(Path(program), model)]


def _kokoro(where: Environment) -> Sequence[object]:
    model = _need_model(where.find("kokoro*.onnx", "voices*.bin"), "kokoro", "kokoro-v1.0")
    return [model, next(model.parent.glob("voices*.bin")), where.voice]


def _piper(where: Environment) -> Sequence[object]:
    _need_program(where, "espeak-ng")
    return [_need_model(where.find(f"{where.voice or '*'}.onnx", "{name}.json"), "piper", "piper-en-us-joe-medium")]


def _piper_http(where: Environment) -> Sequence[object]:
    return [_need_url(where.piper_url, "piper-http", "PIPER_URL"), where.voice]


def _melotts(where: Environment) -> Sequence[object]:
    return [_need_url(where.melotts_url, "melotts", "MELOTTS_URL"), where.voice]


def _program(name: str) -> Callable[[Environment], Sequence[object]]:
    def arguments(where: Environment) -> Sequence[object]:
        _need_program(where, name)
        return [where.voice]

    return arguments


# Best first.
_STT: Mapping[str, SpeechChoice] = {
    "faster-whisper": SpeechChoice(
        "pipecatapp.voice.stt_faster_whisper:FasterWhisperRecognizer", "whisper", _whisper("faster-whisper"), sse41=True
    ),
    "whispercpp": SpeechChoice("pipecatapp.voice.stt_whispercpp:WhisperCppRecognizer", arguments=_whispercpp),
    "realtimestt": SpeechChoice(
        "pipecatapp.voice.stt_realtimestt:RealtimeSttRecognizer",
        "realtimestt",
        _whisper("realtimestt"),
        auto=False,
        sse41=True,
    ),
    "pocketsphinx": SpeechChoice("pipecatapp.voice.stt_pocketsphinx:PocketsphinxRecognizer"),
}
_TTS: Mapping[str, SpeechChoice] = {
    "kokoro": SpeechChoice("pipecatapp.voice.tts_kokoro:KokoroSynthesizer", "kokoro", _kokoro),
    "piper": SpeechChoice("pipecatapp.voice.tts_piper:PiperSynthesizer", arguments=_piper),
    "piper-http": SpeechChoice("pipecatapp.voice.tts_http:PiperHttpSynthesizer", arguments=_piper_http),
    "melotts": SpeechChoice("pipecatapp.voice.tts_http:MeloSynthesizer", arguments=_melotts),
    "flite": SpeechChoice("pipecatapp.voice.tts_programs:FliteSynthesizer", arguments=_program("flite")),
    "espeak-ng": SpeechChoice("pipecatapp.voice.tts_programs:EspeakSynthesizer", arguments=_program("espeak-ng")),
}
_FALLBACKS = ("flite", "espeak-ng")


def stt_choices() -> list[str]:
    """The names that ``STT_SERVICE`` may have."""
    return [AUTO, *_STT]


def tts_choices() -> list[str]:
    """The names that ``TTS_SERVICE`` may have."""
    return [AUTO, *_TTS]


def create_recognizer(name: str, where: Environment) -> Recognizer:
    """The recognizer of this name, or for ``auto`` the best that can work here.

    Raises:
        UnknownChoiceError: no such name.
        MissingExtraError: its package is absent.
        ConfigurationError: something else that it needs is absent.
    """
    recognizer: Recognizer = _create("STT_SERVICE", name, _STT, where)
    return recognizer


def create_synthesizer(name: str, where: Environment) -> FallbackSynthesizer:
    """The synthesizer of this name (for ``auto`` the best that can work here) with Debian's voices to fall back on.

    Raises:
        UnknownChoiceError: no such name.
        MissingExtraError: its package is absent.
        ConfigurationError: something else that it needs is absent.
    """
    first: Synthesizer = _create("TTS_SERVICE", name, _TTS, where)
    voices = [first]
    for fallback in _FALLBACKS:
        if fallback != first.name and where.which(fallback) is not None:
            # The voice was chosen for the first one; a fallback speaks with its own.
            voices.append(_TTS[fallback].load()())
    return FallbackSynthesizer(voices)


def _create(setting: str, name: str, choices: Mapping[str, SpeechChoice], where: Environment) -> Any:
    if name != AUTO and name not in choices:
        raise UnknownChoiceError(setting, name, [AUTO, *choices])
    names = [name] if name != AUTO else [known for known, choice in choices.items() if choice.auto]
    reasons = []
    for candidate in names:
        choice = choices[candidate]
        try:
            arguments = choice.arguments_for(candidate, where)
        except _UnavailableError as reason:
            if name != AUTO:
                raise reason.error from None
            reasons.append(f"  {candidate}: {reason}")
            continue
        return choice.load()(*arguments)
    raise ConfigurationError(f"{setting}=auto found nothing that works here:\n" + "\n".join(reasons))
