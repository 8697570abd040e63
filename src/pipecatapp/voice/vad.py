"""Silero VAD and Smart Turn with weights that all sessions share, and a gate that keeps silence cheap."""

from __future__ import annotations

import functools
import time
from importlib import resources
from typing import Any

import numpy as np
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

# Speech is believed after 160 ms, so the speaker is silent well within 300 ms of its onset.
START_SECS = 0.16
STOP_SECS = 0.2
CONFIDENCE = 0.65
# Peaks below this (-46 dBFS) are silence; the model is asked again as soon as there is more.
_GATE_PEAK = 160
_GATE_AFTER_S = 0.4
# Smart Turn is worth its time where one verdict takes less than this.
_SMART_TURN_QUICK_S = 0.15


@functools.cache
def _silero_session() -> Any:
    """The VAD's weights, loaded once per process."""
    with resources.as_file(resources.files("pipecat.audio.vad.data") / "silero_vad.onnx") as path:
        return SileroOnnxModel(str(path)).session


class _SharedSileroModel(SileroOnnxModel):
    """A recurrent state of its own over the shared weights."""

    def __init__(self) -> None:
        self.session = _silero_session()
        self.sample_rates = [8000, 16000]
        self.reset_states()


class SharedSilero(SileroVADAnalyzer):
    """pipecat's Silero analyzer with shared weights, and without its smoothed loudness.

    The loudness is smoothed over 160 ms and more, which would delay every barge-in; the gate does its job.
    """

    def __init__(self) -> None:
        params = VADParams(confidence=CONFIDENCE, start_secs=START_SECS, stop_secs=STOP_SECS, min_volume=0.0)
        VADAnalyzer.__init__(self, params=params)
        self._model = _SharedSileroModel()
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._silent_s = 0.0

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Ask the model, unless it has been silent for a while and still is."""
        if self._closed(buffer):
            self._vad_buffer = (self._vad_buffer + buffer)[-self._vad_frames_num_bytes + 2 :]
            return VADState.QUIET
        return await super().analyze_audio(buffer)

    @property
    def pause_s(self) -> float:
        """For how many seconds there was silence, at most until it ends what was said; 0: there is speech."""
        if self._vad_state == VADState.QUIET:
            return self._params.stop_secs
        if self._vad_state != VADState.STOPPING:
            return 0.0
        return float(self._vad_stopping_count * self._vad_frames / self.sample_rate)

    def _closed(self, buffer: bytes) -> bool:
        samples = np.frombuffer(buffer, dtype=np.int16)
        if int(samples.max()) > _GATE_PEAK or int(samples.min()) < -_GATE_PEAK:
            self._silent_s = 0.0
            return False
        self._silent_s += len(samples) / self.sample_rate
        return self._silent_s > _GATE_AFTER_S and self._vad_state == VADState.QUIET

    def _get_smoothed_volume(self, audio: bytes) -> float:
        return 1.0


@functools.cache
def _smart_turn_prototype() -> LocalSmartTurnAnalyzerV3:
    """Smart Turn's weights, loaded once per process."""
    return LocalSmartTurnAnalyzerV3()


class SharedSmartTurn(LocalSmartTurnAnalyzerV3):
    """pipecat's Smart Turn analyzer with shared weights."""

    def __init__(self) -> None:
        BaseSmartTurn.__init__(self)
        self._session = _smart_turn_prototype()._session
        self._log_data = False


def load_vad() -> None:
    """Load Silero's weights; blocking."""
    _silero_session()


def smart_turn_is_quick() -> bool:
    """Load Smart Turn and time one verdict; blocking."""
    analyzer = _smart_turn_prototype()
    sound = np.zeros(16000, dtype=np.float32)
    analyzer._predict_endpoint(sound)
    start = time.perf_counter()
    analyzer._predict_endpoint(sound)
    return time.perf_counter() - start < _SMART_TURN_QUICK_S
