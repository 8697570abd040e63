"""What of the program's log is shown and written: events for the page, and no line again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipecatapp.events import LogLine
from pipecatapp.ports import EventSink

# What the sink itself logs must not come back to it.
_OWN = ("pipecatapp.hub", "pipecatapp.storage.event_log")


class EventLogHandler(logging.Handler):
    """Sends each record's message (never its fields: they may hold what people said) to the sink."""

    def __init__(self, sink: EventSink, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on."""
        if record.name.startswith(_OWN):
            return
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        self._sink.emit(LogLine(level=record.levelname.lower(), logger=record.name, message=message[:2000]))


class RepeatFilter(logging.Filter):
    """Lets a line pass a few times in a while, whatever its arguments are; the next one tells how many did not.

    Strangers can cause some lines as often as they like, and a log must not fill the disk.
    """

    def __init__(self, most: int = 10, window_s: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._window_s, self._clock = most, window_s, clock
        # Line: when its while began, and how often it came since.
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one passes."""
        key, now = (record.name, str(record.msg)), self._clock()
        began, count = self._seen.get(key, (now, 0))
        if now - began < self._window_s:
            self._seen[key] = (began, count + 1)
            return count < self._most
        self._seen = {one: seen for one, seen in self._seen.items() if now - seen[0] < self._window_s}
        self._seen[key] = (now, 1)
        if count > self._most:
            record.msg, record.args = f"{record.getMessage()} (and {count - self._most} more before)", ()
        return True


_THIN = RepeatFilter()


def thin_out(*loggers: str) -> None:
    """Have these loggers repeat themselves less. Doing it again changes nothing."""
    for name in loggers:
        logging.getLogger(name).addFilter(_THIN)
