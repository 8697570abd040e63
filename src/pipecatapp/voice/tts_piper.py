"""Speech synthesis with a Piper voice: Debian's ``espeak-ng`` says how a text is pronounced, onnxruntime speaks it.

Nothing of Piper itself (GPL-3) is in this process: a voice is an onnx file and a description of its inputs.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import SpeechError
from pipecatapp.voice.in_process import InProcessSynthesizer
from pipecatapp.voice.phonemes import sentences

_PAD, _BEGIN, _END = "_", "^", "$"


@dataclass(frozen=True, slots=True)
class PiperConfig:
    """What ``*.onnx.json`` says of a voice.

    Attributes:
        rate: of its sound, in Hz.
        espeak: the espeak-ng voice that it was trained with; empty: it was trained on letters.
        ids: the numbers of each phoneme.
        scales: noise, length and noise of the lengths, as the model takes them.
        speakers: how many it has; the first one speaks.
    """

    rate: int
    espeak: str
    ids: dict[str, list[int]]
    scales: tuple[float, float, float]
    speakers: int

    @classmethod
    def read(cls, file: Path) -> PiperConfig:
        """Read it.

        Raises:
            SpeechError: it is not what it should be, or of a kind that is not known here.
        """
        try:
            data = json.loads(file.read_text("utf-8"))
            kind, inference = data.get("phoneme_type", "espeak"), data["inference"]
            if kind not in ("espeak", "text"):
                raise SpeechError(f"{file.name} has phonemes of the kind {kind!r}, which is not known here")
            config = cls(
                rate=int(data["audio"]["sample_rate"]),
                espeak=str(data["espeak"]["voice"]) if kind == "espeak" else "",
                ids={str(key): [int(i) for i in ids] for key, ids in data["phoneme_id_map"].items()},
                scales=(
                    float(inference["noise_scale"]),
                    float(inference["length_scale"]),
                    float(inference["noise_w"]),
                ),
                speakers=int(data.get("num_speakers", 1)),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SpeechError(f"{file.name} does not describe a Piper voice: {error}") from error
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+_-]*|", config.espeak) or not 8000 <= config.rate <= 48000:
            raise SpeechError(f"{file.name} does not describe a Piper voice")
        if not {_PAD, _BEGIN, _END} <= config.ids.keys():
            raise SpeechError(f"{file.name} has no numbers for the beginning, the end and what lies between")
        return config

    def encode(self, phonemes: Iterable[str]) -> list[int]:
        """The model's input: a pad behind each phoneme; what the voice does not know is left out."""
        known = [phoneme for phoneme in phonemes if phoneme in self.ids and phoneme not in (_PAD, _BEGIN, _END)]
        ids = [number for phoneme in [_BEGIN, *known] for number in [*self.ids[phoneme], *self.ids[_PAD]]]
        return [*ids, *self.ids[_END]]


class PiperSynthesizer(InProcessSynthesizer):
    """One Piper voice.

    Args:
        model: a ``*.onnx`` file with its ``*.onnx.json`` beside it.
    """

    name = "piper"

    def __init__(self, model: Path) -> None:
        super().__init__()
        self._file = model
        self.title = f"the Piper voice {model}"

    def load_model(self) -> Any:
        """The voice, after its first words: they are slow."""
        import onnxruntime

        config = PiperConfig.read(self._file.with_name(f"{self._file.name}.json"))
        options = onnxruntime.SessionOptions()
        # One clause at a time; more threads than this only take them from the recognizer and the engine.
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
        if not self.synthesize((config, session), "Yes.")[0]:
            raise SpeechError(f"espeak-ng has no voice {config.espeak!r}, which {self._file.name} was trained with")
        return config, session

    def synthesize(self, model: Any, text: str) -> tuple[bytes, int]:
        """As the voice has it, a sentence at a time."""
        config, session = model
        spoken = sentences(text, config.espeak) if config.espeak else [text]
        sound = [self._speak(config, session, unicodedata.normalize("NFD", sentence)) for sentence in spoken]
        return b"".join(sound), config.rate

    def _speak(self, config: PiperConfig, session: Any, phonemes: str) -> bytes:
        ids = np.array([config.encode(phonemes)], dtype=np.int64)
        inputs = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], dtype=np.int64),
            "scales": np.array(config.scales, dtype=np.float32),
        }
        if config.speakers > 1:
            inputs["sid"] = np.zeros(1, dtype=np.int64)
        samples = session.run(None, inputs)[0].reshape(-1)
        return bytes((np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16).tobytes())
