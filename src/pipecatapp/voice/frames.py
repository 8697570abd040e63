"""The frames that pipecat does not have."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame


@dataclass
class NothingHeardFrame(SystemFrame):
    """A stretch of sound that the VAD took for speech held no words."""


@dataclass
class HearingFailedFrame(SystemFrame):
    """Speech recognition failed on a stretch of speech."""

    reason: str = ""
