"""The program's log on the page: a logging handler that turns records into events."""

from __future__ import annotations

import logging

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
