"""Speech recognition with pocketsphinx, the default: its model lies in the wheel and it runs on any CPU.

It decodes while the person speaks, so after the last word only the final pass is left. Each decoder is a process
(voice/sphinx_worker.py) of some 90 MB, and is lent to utterances, not to sessions: a silent session costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import BYTES_PER_SECOND, OnPartial, Utterance

logger = logging.getLogger(__name__)

KEPT_DECODERS = 2
_CHUNK = BYTES_PER_SECOND // 10
_WORKER = Path(__file__).with_name("sphinx_worker.py")
_START_TIMEOUT_S = 60.0


class _Worker:
    """One decoder process, and who listens to what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._killed = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_partial: OnPartial | None = None
        self.final: asyncio.Future[str] | None = None
        self._reader = asyncio.create_task(self._read(process.stdout or asyncio.StreamReader()))

    @classmethod
    async def start(cls) -> _Worker:
        """Start the process; it may still be loading its model when this returns."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_WORKER),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise SpeechError(f"pocketsphinx's process could not be started: {error}") from error
        return cls(process)

    @property
    def alive(self) -> bool:
        return not self._killed and self._process.returncode is None and not self._reader.done()

    def send(self, kind: bytes, body: bytes = b"") -> None:
        stdin = self._process.stdin
        if stdin is not None and self.alive:
            stdin.write(kind + len(body).to_bytes(4, "little") + body)

    def kill(self) -> None:
        """End the process at once; ``stop`` waits for its end."""
        self._killed = True
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End the process."""
        self.kill()
        await self._process.wait()
        await asyncio.wait([self._reader])

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            news = json.loads(line)
            if "partial" in news and self.on_partial is not None:
                self.on_partial(news["partial"])
            elif "ready" in news and not self.ready.done():
                self.ready.set_result(None)
            elif "final" in news:
                self._settle(news["final"])
            elif "error" in news:
                self._settle(SpeechError(f"pocketsphinx failed: {news['error']}"))
        ended = SpeechError("pocketsphinx's process ended")
        self._settle(ended)
        if not self.ready.done():
            self.ready.set_exception(ended)
            self.ready.exception()  # Seen, even if nobody waits for it.

    def _settle(self, outcome: str | SpeechError) -> None:
        if self.final is None or self.final.done():
            return
        if isinstance(outcome, SpeechError):
            self.final.set_exception(outcome)
        else:
            self.final.set_result(outcome)


class PocketsphinxRecognizer:
    """pocketsphinx with its own US English model."""

    name = "pocketsphinx"
    final_p99_s = 1.0
    at_pauses = False

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def load(self) -> None:
        """Start the first decoder."""
        worker = await self.borrow()
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await worker.ready
        except TimeoutError as error:
            await worker.stop()
            raise SpeechError("pocketsphinx did not load its model in a minute") from error
        self.give_back(worker)

    def open(self, on_partial: OnPartial) -> Utterance:
        """Lend a decoder to an utterance; starts one more when all are busy."""
        return _PocketsphinxUtterance(self, on_partial)

    async def aclose(self) -> None:
        """End the processes."""
        workers, self._all = self._all, set()
        self._idle.clear()
        for worker in workers:
            await worker.stop()

    async def borrow(self) -> _Worker:
        """A decoder that is free and alive."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            self._all.discard(worker)
        worker = await _Worker.start()
        self._all.add(worker)
        return worker

    def give_back(self, worker: _Worker) -> None:
        """The utterance is over."""
        worker.on_partial = worker.final = None
        if worker not in self._all:
            return
        if worker.alive and len(self._idle) < KEPT_DECODERS:
            self._idle.append(worker)
        else:
            self._all.discard(worker)
            self._ending = asyncio.create_task(worker.stop())


class _PocketsphinxUtterance:
    def __init__(self, owner: PocketsphinxRecognizer, on_partial: OnPartial) -> None:
        self._owner = owner
        self._on_partial = on_partial
        self._sound = bytearray()
        self._worker: _Worker | None = None
        self._borrowing = asyncio.create_task(self._borrow())

    def feed(self, pcm: bytes) -> None:
        """Hand the sound to the decoder, a tenth of a second at a time."""
        self._sound += pcm
        if len(self._sound) >= _CHUNK:
            self._flush()

    def pause(self) -> None:
        """Its partial words come all the time."""

    def resume(self) -> None:
        """Nothing was begun at the pause."""

    async def finish(self) -> str:
        """The final pass over what was fed."""
        worker = await self._borrowing
        final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        worker.final = final
        answered = False
        try:
            self._flush()
            worker.send(b"E")
            if not worker.alive:
                raise SpeechError("pocketsphinx's process ended")
            words = await final
            answered = True
            return words
        finally:
            if not answered:
                # Its late answer must not be taken for that of the next utterance.
                worker.kill()
            self._owner.give_back(worker)

    def abandon(self) -> None:
        """End the utterance without its words."""
        if self._worker is None:
            self._borrowing.cancel()
            return
        self._worker.send(b"X")
        self._owner.give_back(self._worker)

    async def _borrow(self) -> _Worker:
        worker = await self._owner.borrow()
        worker.on_partial = self._on_partial
        self._worker = worker
        self._flush()
        return worker

    def _flush(self) -> None:
        if self._worker is not None and self._sound:
            sound, self._sound = bytes(self._sound), bytearray()
            self._worker.send(b"A", sound)
