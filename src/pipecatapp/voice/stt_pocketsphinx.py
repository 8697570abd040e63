"""Speech recognition with pocketsphinx, the default: its model lies in the wheel and it runs on any CPU.

It decodes while the person speaks, so after the last word only the final pass is left. A decoder takes tens of
megabytes and cannot share its model with another, so decoders are lent to utterances, not to sessions: a silent
session costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import BYTES_PER_SECOND, OnPartial, Utterance

logger = logging.getLogger(__name__)

KEPT_DECODERS = 2
_CHUNK = BYTES_PER_SECOND // 10


class _Lane:
    """One decoder and the one thread that may touch it. The decoder is made in that thread, on first use."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "pocketsphinx")
        self._decoder: Any = None

    def decoder(self) -> Any:
        if self._decoder is None:
            from pocketsphinx import Decoder

            self._decoder = Decoder(samprate=16000, loglevel="FATAL")
        return self._decoder


class PocketsphinxRecognizer:
    """pocketsphinx with its own US English model."""

    name = "pocketsphinx"
    final_p99_s = 1.0

    def __init__(self) -> None:
        self._idle: list[_Lane] = []

    def load(self) -> None:
        """Make the first decoder."""
        lane = _Lane()
        try:
            lane.thread.submit(lane.decoder).result()
        except Exception as error:
            raise SpeechError(f"pocketsphinx could not load its model: {error}") from error
        self._idle.append(lane)

    def open(self, on_partial: OnPartial) -> Utterance:
        """Lend a decoder to an utterance; makes one more when all are busy."""
        return _PocketsphinxUtterance(self, self._idle.pop() if self._idle else _Lane(), on_partial)

    async def aclose(self) -> None:
        """End the threads."""
        while self._idle:
            self._idle.pop().thread.shutdown(wait=False)

    def give_back(self, lane: _Lane) -> None:
        """The utterance is over."""
        if len(self._idle) < KEPT_DECODERS:
            self._idle.append(lane)
        else:
            lane.thread.shutdown(wait=False)


class _PocketsphinxUtterance:
    def __init__(self, owner: PocketsphinxRecognizer, lane: _Lane, on_partial: OnPartial) -> None:
        self._owner: PocketsphinxRecognizer | None = owner
        self._lane = lane
        self._on_partial = on_partial
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()
        self._partial = ""
        self._failure: Exception | None = None
        lane.thread.submit(self._guard, self._start)

    def feed(self, pcm: bytes) -> None:
        """Hand the sound to the decoder's thread, a tenth of a second at a time."""
        self._pending += pcm
        if len(self._pending) >= _CHUNK:
            sound, self._pending = bytes(self._pending), bytearray()
            self._lane.thread.submit(self._guard, self._process, sound)

    async def finish(self) -> str:
        """The final pass over what was fed."""
        rest, self._pending = bytes(self._pending), bytearray()
        try:
            return await asyncio.wrap_future(self._lane.thread.submit(self._end, rest))
        except SpeechError:
            raise
        except Exception as error:
            raise SpeechError(f"pocketsphinx failed: {error}") from error
        finally:
            self._release()

    def abandon(self) -> None:
        """End the utterance without its words."""
        self._lane.thread.submit(self._guard, self._stop)
        self._release()

    def _release(self) -> None:
        if self._owner is not None:
            self._owner.give_back(self._lane)
            self._owner = None

    # In the lane's thread, one after the other.

    def _guard(self, work: Any, *arguments: Any) -> None:
        if self._failure is None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - finish() raises it
                self._failure = error

    def _start(self) -> None:
        self._lane.decoder().start_utt()

    def _process(self, sound: bytes) -> None:
        decoder = self._lane.decoder()
        decoder.process_raw(sound)
        hypothesis = decoder.hyp()
        words = _words(hypothesis)
        if words and words != self._partial:
            self._partial = words
            self._loop.call_soon_threadsafe(self._on_partial, words)

    def _stop(self) -> None:
        self._lane.decoder().end_utt()

    def _end(self, rest: bytes) -> str:
        if self._failure is not None:
            raise SpeechError(f"pocketsphinx failed: {self._failure}")
        decoder = self._lane.decoder()
        if rest:
            decoder.process_raw(rest)
        decoder.end_utt()
        return _words(decoder.hyp())


def _words(hypothesis: Any) -> str:
    return str(hypothesis.hypstr).strip() if hypothesis is not None and hypothesis.hypstr else ""
