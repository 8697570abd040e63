"""What the tests of approvals share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from testing.fakes.approval_harness import LampHarness


@pytest.fixture
def harness(tmp_path: Path) -> Callable[..., LampHarness]:
    """Makes the harness: what the model answers, and options."""
    return lambda *answers, **options: LampHarness(tmp_path, *answers, **options)
