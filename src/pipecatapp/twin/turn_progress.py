"""One turn while it runs: what it cost so far and what it said. Voice, typing and the API fill the same record."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from pipecatapp.domain import Source, TurnCost, Usage


def new_turn_id() -> str:
    """An id that no other turn has."""
    return secrets.token_hex(8)


@dataclass(slots=True)
class TurnProgress:
    """The running record of one turn. Times are ``time.monotonic()`` or seconds, None where they do not apply.

    ``started`` is the user's last sample (voice) or Enter (typed), ``began`` the first sample where that is known. The
    agent sets ``first_token_s``, ``usage``, ``text``, ``finish_reason`` (``length``: there was no room for the end of
    the answer), and ``expert`` where one answered; voice sets ``stt_s``, ``first_audio_s`` and ``total_s``. ``spoken``
    says that audio follows: then the one who plays it calls ``Agent.finish``, otherwise ``respond`` does.
    """

    conversation: str
    source: Source = "typed"
    id: str = field(default_factory=new_turn_id)
    started: float = field(default_factory=time.monotonic)
    began: float | None = None
    spoken: bool = False
    stt_s: float | None = None
    first_token_s: float | None = None
    first_audio_s: float | None = None
    total_s: float | None = None
    usage: Usage = field(default_factory=Usage)
    text: str = ""
    expert: str = ""
    finish_reason: Literal["stop", "length"] = "stop"
    finished: bool = False

    def cost(self) -> TurnCost:
        """The cost as a value."""
        return TurnCost(self.stt_s, self.first_token_s, self.first_audio_s, self.total_s, self.usage)


def benchmark_block(progress: TurnProgress) -> str:
    """The report that ``BENCHMARK_MODE`` prints after a turn; what does not apply counts as nothing."""
    return (
        "--- BENCHMARK RESULTS ---\n"
        f"STT Latency: {progress.stt_s or 0.0:.4f}s\n"
        f"LLM Time to First Token: {progress.first_token_s or 0.0:.4f}s\n"
        f"TTS Time to First Audio: {progress.first_audio_s or 0.0:.4f}s\n"
        f"Total Pipeline Latency: {progress.total_s or 0.0:.4f}s\n"
        "-------------------------"
    )
