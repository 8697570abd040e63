"""What can go wrong."""

from __future__ import annotations


class RefusedError(Exception):
    """The request is not carried out; the message says why, and what to do."""
