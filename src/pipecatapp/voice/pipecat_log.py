"""pipecat logs through loguru, with transcripts at DEBUG: pass on warnings only, through this program's own log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from loguru import logger as loguru_logger

if TYPE_CHECKING:
    from loguru import Message


def _pass_on(message: Message) -> None:
    record = message.record
    logging.getLogger(record["name"] or "pipecat").log(record["level"].no, "%s", record["message"])


def route_pipecat_log() -> None:
    """Replace loguru's stderr handler."""
    loguru_logger.remove()
    loguru_logger.add(_pass_on, level="WARNING", format="{message}")
