"""Speech recognition with RealtimeSTT (extra ``realtimestt``: torch and a build of PyAudio; heavier and slower).

RealtimeSTT brings its own VAD and a recorder per microphone. Here the pipeline has found the utterance already, so only
its transcription is used, one recorder for all sessions.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import OnPartial, ThreadedUtterance, Utterance


class RealtimeSttRecognizer:
    """RealtimeSTT's recorder without a microphone.

    Args:
        model: a faster-whisper model folder.
    """

    name = "realtimestt"
    final_p99_s = 2.0

    def __init__(self, model: Path) -> None:
        self._folder = model
        self._recorder: Any = None
        self._turn = threading.Lock()

    async def load(self) -> None:
        """Start the recorder in a thread; seconds."""
        await asyncio.to_thread(self._load)

    def open(self, on_partial: OnPartial) -> Utterance:
        """A buffered utterance."""
        return ThreadedUtterance(self._transcribe)

    async def aclose(self) -> None:
        """End the recorder and its processes."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await asyncio.to_thread(recorder.shutdown)

    def _load(self) -> None:
        from importlib import resources

        from RealtimeSTT import AudioToTextRecorder

        vad = resources.files("pipecat.audio.vad.data") / "silero_vad.onnx"
        try:
            # "auto" would fetch the VAD from the network.
            self._recorder = AudioToTextRecorder(
                model=str(self._folder),
                use_microphone=False,
                spinner=False,
                no_log_file=True,
                device="cpu",
                compute_type="int8",
                language="en",
                silero_backend="raw_onnx",
                silero_onnx_model_path=str(vad),
            )
        except Exception as error:
            raise SpeechError(f"RealtimeSTT could not be started: {error}") from error

    def _transcribe(self, pcm: bytes) -> str:
        if self._recorder is None:
            raise SpeechError("RealtimeSTT is not loaded")
        sound = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32768.0
        try:
            with self._turn:
                self._recorder.audio = sound
                return str(self._recorder.transcribe() or "")
        except Exception as error:
            raise SpeechError(f"RealtimeSTT failed: {error}") from error
