"""What the program says when it serves."""

from __future__ import annotations

import pytest

from pipecatapp.cli.serving import welcome

pytestmark = pytest.mark.unit


def test_the_token_is_shown_to_a_person_and_not_to_a_log() -> None:
    links = ["https://pc:8443/?token=secret", "http://localhost:8000/?token=secret"]
    assert welcome(links, to_person=True) == f"Open {links[0]}\n  or {links[1]}"
    logged = welcome(links, to_person=False)
    assert "secret" not in logged
    assert "https://pc:8443/" in logged
    assert "pipecatapp link" in logged
