"""The frames that pipecat does not have."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, InterimTranscriptionFrame


@dataclass
class PauseTranscriptionFrame(InterimTranscriptionFrame):
    """All that was said up to a pause; the person may go on."""


@dataclass
class NothingHeardFrame(DataFrame):
    """A stretch of sound that the VAD took for speech held no words."""


@dataclass
class HearingFailedFrame(DataFrame):
    """Speech recognition failed on a stretch of speech."""

    reason: str = ""


@dataclass
class TurnEndedFrame(DataFrame):
    """The person's turn ended. Travels in order with the words, which ``UserStoppedSpeakingFrame`` would overtake."""
