"""Speech services by name: what is chosen, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError, MissingExtraError, UnknownChoiceError
from pipecatapp.voice.registry import (
    Environment,
    cpu_flags,
    create_recognizer,
    create_synthesizer,
    stt_choices,
    tts_choices,
)

pytestmark = pytest.mark.unit


def here(
    models: Path,
    *,
    modules: Iterable[str] = (),
    programs: Iterable[str] = ("flite", "espeak-ng"),
    flags: Iterable[str] = ("sse4_1",),
    **urls: str,
) -> Environment:
    """A machine with these packages, programs and CPU flags."""
    return Environment(
        models,
        flags=frozenset(flags),
        installed=lambda module: module in modules,
        which=lambda program: f"/usr/bin/{program}" if program in programs else None,
        **urls,
    )


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_auto_takes_what_needs_nothing_on_a_bare_pc(tmp_path: Path) -> None:
    assert create_recognizer("auto", here(tmp_path)).name == "pocketsphinx"
    assert create_synthesizer("auto", here(tmp_path)).name == "flite"
    assert create_synthesizer("auto", here(tmp_path, programs=["espeak-ng"])).name == "espeak-ng"


def test_auto_takes_the_best_whose_model_is_there(tmp_path: Path) -> None:
    modules = ["faster_whisper", "kokoro_onnx"]
    where = here(tmp_path, modules=modules)
    assert create_recognizer("auto", where).name == "pocketsphinx"
    put(tmp_path / "stt" / "faster-whisper-base", "model.bin", "config.json", "tokenizer.json")
    put(tmp_path / "tts" / "joe", "en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json")
    assert create_recognizer("auto", where).name == "faster-whisper"
    assert create_synthesizer("auto", where).name == "piper"
    put(tmp_path / "tts" / "kokoro", "kokoro-v1.0.onnx", "voices-v1.0.bin")
    assert create_synthesizer("auto", where).name == "kokoro"


def test_a_core2_gets_whisper_cpp_and_never_imports_ctranslate2(tmp_path: Path) -> None:
    put(tmp_path, "model.bin", "config.json", "tokenizer.json", "ggml-tiny.en-q8_0.bin")
    where = here(tmp_path, modules=["faster_whisper"], programs=["whisper-server", "flite"], flags=["ssse3"])
    assert create_recognizer("auto", where).name == "whispercpp"
    with pytest.raises(ConfigurationError, match=r"SSE4\.1.*STT_SERVICE=whispercpp"):
        create_recognizer("faster-whisper", where)


def test_whisper_cpp_can_be_elsewhere(tmp_path: Path) -> None:
    where = here(tmp_path, whispercpp_url="http://core:8082")
    assert create_recognizer("whispercpp", where).name == "whispercpp"
    with pytest.raises(ConfigurationError, match="WHISPERCPP_URL"):
        create_recognizer("whispercpp", here(tmp_path))


def test_servers_are_chosen_by_their_url(tmp_path: Path) -> None:
    assert create_synthesizer("piper-http", here(tmp_path, piper_url="http://a")).name == "piper-http"
    assert create_synthesizer("melotts", here(tmp_path, melotts_url="http://a")).name == "melotts"
    for name, setting in (("piper-http", "PIPER_URL"), ("melotts", "MELOTTS_URL")):
        with pytest.raises(ConfigurationError, match=setting):
            create_synthesizer(name, here(tmp_path))


def test_an_unknown_name_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UnknownChoiceError) as stt:
        create_recognizer("wisper", here(tmp_path))
    with pytest.raises(UnknownChoiceError) as tts:
        create_synthesizer("festival", here(tmp_path))
    assert all(name in str(stt.value) for name in stt_choices())
    assert all(name in str(tts.value) for name in tts_choices())


@pytest.mark.parametrize(("name", "extra"), [("faster-whisper", "whisper"), ("realtimestt", "realtimestt")])
def test_a_missing_extra_prints_the_command(tmp_path: Path, name: str, extra: str) -> None:
    with pytest.raises(MissingExtraError, match=f"pipecatapp extras install {extra}"):
        create_recognizer(name, here(tmp_path))


def test_a_missing_voice_extra_prints_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="pipecatapp extras install kokoro"):
        create_synthesizer("kokoro", here(tmp_path))


def test_piper_needs_a_voice_and_the_program_that_knows_how_words_sound(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pipecatapp models pull piper-en-us-joe-medium"):
        create_synthesizer("piper", here(tmp_path))
    put(tmp_path, "joe.onnx", "joe.onnx.json")
    with pytest.raises(ConfigurationError, match="apt install espeak-ng"):
        create_synthesizer("piper", here(tmp_path, programs=["flite"]))
    assert create_synthesizer("auto", here(tmp_path)).name == "piper"


def test_a_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pipecatapp models pull faster-whisper-tiny"):
        create_recognizer("faster-whisper", here(tmp_path, modules=["faster_whisper"]))


def test_without_any_voice_the_reasons_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="apt install flite"):
        create_synthesizer("auto", here(tmp_path, programs=[]))


def test_cpu_flags_are_read_from_cpuinfo(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags\t\t: fpu sse2 ssse3\n\nprocessor : 1\nflags : fpu\n")
    assert cpu_flags(file) == {"fpu", "sse2", "ssse3"}
    assert cpu_flags(tmp_path / "absent") == frozenset()
