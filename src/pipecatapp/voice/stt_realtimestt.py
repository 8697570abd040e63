"""Speech recognition with RealtimeSTT (extra ``realtimestt``: torch and a build of PyAudio; heavier and slower).

RealtimeSTT brings its own VAD and a recorder per microphone. Here the pipeline has found the utterance already, so only
its transcription is used, one recorder for all sessions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipecatapp.voice.in_process import InProcessWhisper, Samples


class RealtimeSttRecognizer(InProcessWhisper):
    """RealtimeSTT's recorder without a microphone.

    Args:
        model: a faster-whisper model folder.
    """

    name = "realtimestt"
    title = "RealtimeSTT"

    def __init__(self, model: Path) -> None:
        super().__init__()
        self._folder = model

    def load_model(self) -> Any:
        """The recorder; seconds."""
        from importlib import resources

        from RealtimeSTT import AudioToTextRecorder

        vad = resources.files("pipecat.audio.vad.data") / "silero_vad.onnx"
        # "auto" would fetch the VAD from the network.
        return AudioToTextRecorder(
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

    def close_model(self, model: Any) -> None:
        """End its processes."""
        model.shutdown()

    def transcribe(self, model: Any, sound: Samples) -> str:
        """As its recorder hears it."""
        model.audio = sound
        return str(model.transcribe() or "")
