"""The optional parts of the program: what each is for, whether it is here, how it gets here."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass

from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.locks import WHEELS_ONLY, lock_file


@dataclass(frozen=True, slots=True)
class Extra:
    """``module`` is what it brings; ``closed`` says that its lock names every package, also those pip would refuse;
    ``built_by`` are the locks of what builds those of its packages that have no wheel."""

    module: str
    purpose: str
    closed: bool = False
    built_by: tuple[str, ...] = ("build",)


_LLAMA_CPP = ("build", "llama-cpp-build")
EXTRAS: dict[str, Extra] = {
    "browser": Extra("playwright", "web_browser.*; needs Debian's chromium too"),
    "kokoro": Extra("kokoro_onnx", "the Kokoro voice"),
    "llama-cpp": Extra("llama_cpp", "RUN_LOCAL_LLM=true; compiles, needs a C++ compiler", built_by=_LLAMA_CPP),
    "realtimestt": Extra("RealtimeSTT", "STT_SERVICE=realtimestt (2 GB with torch)", closed=True),
    "sentence-transformers": Extra("sentence_transformers", "EMBEDDING_SERVICE=sentence-transformers (torch)"),
    "vision": Extra("cv2", "the camera (VISION_SERVICE)"),
    "whisper": Extra("faster_whisper", "faster-whisper speech recognition (needs SSE4.1)"),
}


def describe() -> str:
    """A table of all extras."""
    width = max(len(name) for name in EXTRAS)
    return "\n".join(
        f"{name:<{width}}  {'installed' if installed(name) else 'absent':<9}  {extra.purpose}"
        for name, extra in EXTRAS.items()
    )


def installed(name: str) -> bool:
    """Whether the extra is here. It is not imported: on an old CPU that could end the program."""
    return importlib.util.find_spec(EXTRAS[name].module) is not None


def install(name: str) -> int:
    """Install an extra with the versions and hashes of its lock, into the environment of this program.

    Raises:
        UnknownChoiceError: there is no such extra.
        ConfigurationError: its lock is missing, or the environment belongs to somebody else.
    """
    if name not in EXTRAS:
        raise UnknownChoiceError("extra", name, list(EXTRAS))
    if not os.access(sys.prefix, os.W_OK):
        raise ConfigurationError(f"{sys.prefix} cannot be written; run: sudo pipecatapp extras install {name}")
    extra = EXTRAS[name]
    # What pip would fetch to build with has no checksum: what builds is installed first, from a lock.
    building = ["--no-build-isolation", "--use-pep517", *(["--no-deps"] if extra.closed else [])]
    if _pip_installs([], *extra.built_by) and _pip_installs(building, name):
        print(f"{name} is installed; restart the agent to use it")
        return 0
    print(f"pipecatapp: {name} could not be installed; the reason stands above", file=sys.stderr)
    return 1


def _pip_installs(options: list[str], *locks: str) -> bool:
    # Isolated: root runs this, and the folder it is typed in may be anybody's.
    command = [sys.executable, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"]
    files = [f"--requirement={lock_file(lock)}" for lock in (WHEELS_ONLY, *locks)]
    return subprocess.run([*command, *options, *files], check=False).returncode == 0
