"""What lies in ``STATE_DIR``, made from the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.errors import ConfigurationError
from pipecatapp.settings import Settings
from pipecatapp.storage.approvals import ApprovalFile
from pipecatapp.storage.audit import AuditFile
from pipecatapp.storage.conversations import JsonlConversations
from pipecatapp.storage.event_log import EventLog


@dataclass(frozen=True, slots=True)
class Storage:
    """The files of the state folder. Each is opened by whoever writes it first."""

    conversations: JsonlConversations
    events: EventLog
    approvals: ApprovalFile
    audit: AuditFile


def create(settings: Settings) -> Storage:
    """The state folder, made where it is not there yet.

    Raises:
        ConfigurationError: it cannot be written.
    """
    folder = settings.state_dir
    _prepare(folder)
    return Storage(
        JsonlConversations(folder / "conversations"),
        EventLog(folder / "events"),
        ApprovalFile(folder / "approvals.json"),
        AuditFile(folder / "audit/audit.jsonl"),
    )


def _prepare(folder: Path) -> None:
    """Make sure that the state can be kept, before anything else fails in a less clear way."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"STATE_DIR {folder} cannot be written: {error.strerror}; run as its owner, or name another folder"
        ) from error
