"""The newest picture of a source that may be slow, vanish or hang. Reads in a thread of its own, queues nothing.

A picture is taken out of the stream only when somebody asks (``fresh``); all others are passed over, so that a slow
detector always gets the latest one. A source that ended or failed is opened again after a back-off. A thread that
hangs in a driver cannot be ended: it is left behind, a few times at most, and another one tries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipecatapp.vision.capture import OPEN_WITHIN_S, READ_WITHIN_S, CameraError, Capture, open_capture
from pipecatapp.vision.pace import READING, stand_back
from pipecatapp.vision.pictures import Picture
from pipecatapp.vision.source import Source

logger = logging.getLogger(__name__)

# Seconds in one call after which a source hangs: longer than FFmpeg's own limits.
HANGS_AFTER_S = max(OPEN_WITHIN_S, READ_WITHIN_S) + 2.0
# A stream that is opened again within this time was never away.
GRACE_S = 5.0
LEFT_BEHIND = 3


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The waits of a camera, in seconds."""

    hangs_after: float = HANGS_AFTER_S
    grace: float = GRACE_S
    backoff_first: float = 1.0
    backoff_most: float = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture and when it was taken (epoch seconds)."""

    picture: Picture
    at: float


@dataclass(slots=True, eq=False)
class _Reader:
    """What is known of one reading thread."""

    thread: threading.Thread | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    blocked_since: float | None = None  # in a call that may hang


class Camera:
    """Watches one source.

    Args:
        source: what to watch.
        opener: opens it; raises CameraError.
        timeouts: the waits.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        source: Source,
        opener: Callable[[Source], Capture] = open_capture,
        *,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self._opener = opener
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._news = threading.Condition()
        self._wanted = threading.Event()
        self._reader: _Reader | None = None
        self._left: list[_Reader] = []
        self._frame: Frame | None = None
        self._taken = 0
        self._alive_at: float | None = None  # the last time that a picture came
        self._reason = ""
        self._looped = False
        self.cpu_s = 0.0  # what reading has cost so far

    def start(self) -> None:
        """Begin to read."""
        with self._news:
            if self._reader is None:
                self._begin()

    def stop(self) -> None:
        """End; a thread that hangs is left to the end of the program."""
        with self._news:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.ended.set()
            self._news.notify_all()
        if reader is not None and reader.thread is not None:
            reader.thread.join(timeout=1.0)

    def fresh(self, timeout: float) -> Frame | None:
        """A picture that was taken after this call; None when none comes in time. A still one is the same as before."""
        with self._news:
            taken = self._taken
            self._wanted.set()
            self._news.wait_for(lambda: self._taken != taken or self._reader is None, timeout)
            if self._taken != taken:
                return self._frame
            self._replace_hanging()
            return None

    @property
    def trouble(self) -> str:
        """Why no picture comes; empty while they do."""
        with self._news:
            if self._hangs:
                return f"{self.source.shown} hangs: no picture for more than {self._timeouts.hangs_after:g} seconds"
            if self._alive_at is not None and self._clock() - self._alive_at < self._timeouts.grace:
                return ""
            return self._reason

    @property
    def note(self) -> str:
        """What else is worth saying of it."""
        return "the video is played again and again" if self._looped else ""

    def _begin(self) -> None:
        reader = self._reader = _Reader()
        reader.thread = threading.Thread(target=self._run, args=(reader,), name="camera", daemon=True)
        reader.thread.start()

    @property
    def _hangs(self) -> bool:
        since = self._reader.blocked_since if self._reader is not None else None
        return since is not None and self._clock() - since > self._timeouts.hangs_after

    def _replace_hanging(self) -> None:
        """Leave a hanging thread behind and let another one try."""
        self._left = [reader for reader in self._left if reader.thread is not None and reader.thread.is_alive()]
        if self._reader is None or not self._hangs or len(self._left) >= LEFT_BEHIND:
            return
        logger.warning("%s hangs; it is opened again", self.source.shown)
        self._reason = f"{self.source.shown} hung and is opened again"
        self._reader.ended.set()
        self._left.append(self._reader)
        self._begin()

    def _run(self, reader: _Reader) -> None:
        stand_back()
        wait = self._timeouts.backoff_first
        while not reader.ended.is_set():
            before = self._taken
            try:
                reason, again_at_once = self._watch(reader)
            except (CameraError, OSError) as error:
                reason, again_at_once = str(error), False
            except Exception as error:  # OpenCV raises what it likes
                logger.exception("%s cannot be read", self.source.shown)
                reason, again_at_once = f"{self.source.shown} cannot be read: {type(error).__name__}", False
            finally:
                reader.blocked_since = None
            if self._taken != before:
                wait = self._timeouts.backoff_first
            if again_at_once or reader.ended.is_set():
                continue
            if reason != self._reason:
                logger.warning("no picture: %s", reason)
            self._reason = reason
            reader.ended.wait(wait)
            wait = min(2 * wait, self._timeouts.backoff_most)

    def _watch(self, reader: _Reader) -> tuple[str, bool]:
        """Read until the source ends; why, and whether it just begins anew."""
        used = time.thread_time()
        reader.blocked_since = self._clock()
        capture = self._opener(self.source)
        reader.blocked_since = None
        due = self._clock()
        grabbed = 0
        try:
            while not reader.ended.is_set():
                reader.blocked_since = began = self._clock()
                if not capture.grab():
                    break
                grabbed += 1
                self._take(reader, capture)
                reader.blocked_since = None
                now = self._clock()
                cost, used = time.thread_time() - used, time.thread_time()
                self.cpu_s += cost
                if capture.interval_s:
                    # A file is played at its own rate, or slower where decoding it would take more than its share.
                    due = max(due, began) if began - due < 1.0 else began
                    due += capture.interval_s
                    reader.ended.wait(max(due - now, cost * (1 / READING - 1)))
        finally:
            capture.close()
        if self.source.kind == "video" and grabbed:
            if not self._looped:
                self._looped = True
                logger.info("%s has ended and is played again", self.source.shown)
            return "", True
        if self.source.lasts:
            return f"{self.source.shown} has no picture to read", False
        return f"{self.source.shown} sends no more pictures", False

    def _take(self, reader: _Reader, capture: Capture) -> None:
        """A picture was grabbed: keep it when somebody waits for one."""
        wanted = self._wanted.is_set()
        picture = capture.retrieve() if wanted else None
        with self._news:
            if self._reader is not reader:
                return
            if wanted and picture is None:
                self._reason = f"{self.source.shown} gives pictures that cannot be read"
                return
            self._alive_at = self._clock()
            if self._reason and self._taken:
                logger.info("%s gives pictures again", self.source.shown)
            self._reason = ""
            if picture is not None:
                self._wanted.clear()
                if self._frame is None or self._frame.picture is not picture:
                    self._frame = Frame(picture, time.time())
                self._taken += 1
                self._news.notify_all()
