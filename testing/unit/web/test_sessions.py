"""Sessions: how long they last, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipecatapp.web.sessions import SESSION_S, Sessions

pytestmark = pytest.mark.unit

TOKEN = b"t" * 43


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def test_a_session_lasts_half_a_year_and_survives_a_restart(clock: Clock) -> None:
    sessions = Sessions(TOKEN, clock=clock)
    session = sessions.new()
    clock.now += SESSION_S - 1

    assert sessions.fits(session)
    assert Sessions(TOKEN, clock=clock).fits(session)

    clock.now += 2
    assert not sessions.fits(session)


def test_a_new_token_ends_all_sessions(clock: Clock) -> None:
    assert not Sessions(b"u" * 43, clock=clock).fits(Sessions(TOKEN, clock=clock).new())


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: "",
        lambda good: good[:-1] + ("0" if good[-1] != "0" else "1"),
        lambda good: "9" + good,
        lambda good: good.split(".")[0],
        lambda good: good.replace(".", "", 1),
        lambda good: "ä.b.c",
        lambda good: f"{good}.{good}",
        lambda good: "9" * 5000 + good,
    ],
)
def test_a_forged_session_is_refused(clock: Clock, forge: Callable[[str], str]) -> None:
    sessions = Sessions(TOKEN, clock=clock)
    assert not sessions.fits(forge(sessions.new()))


async def test_who_signs_out_is_out_for_good_and_others_stay(clock: Clock, file: Path) -> None:
    sessions = Sessions(TOKEN, file, clock=clock)
    mine, other = sessions.new(), sessions.new()
    await sessions.end(mine)

    for now in (sessions, Sessions(TOKEN, file, clock=clock)):
        assert not now.fits(mine)
        assert now.fits(other)
    assert file.stat().st_mode & 0o777 == 0o600
    assert mine not in file.read_text()


async def test_signing_out_everywhere_ends_all_also_after_a_restart(clock: Clock, file: Path) -> None:
    sessions = Sessions(TOKEN, file, clock=clock)
    before = [sessions.new() for _ in range(3)]
    await sessions.end_all()
    after = sessions.new()

    for now in (sessions, Sessions(TOKEN, file, clock=clock)):
        assert not any(now.fits(session) for session in before)
        assert now.fits(after)


async def test_what_has_expired_is_kept_no_longer(clock: Clock, file: Path) -> None:
    sessions = Sessions(TOKEN, file, clock=clock)
    await sessions.end(sessions.new())
    clock.now += SESSION_S + 1
    await sessions.end(sessions.new())
    assert len(json.loads(file.read_text())["ended"]) == 1


async def test_a_stranger_ends_nothing(clock: Clock, file: Path) -> None:
    sessions = Sessions(TOKEN, file, clock=clock)
    await sessions.end("9999999999.name.forged")
    assert not file.exists()


async def test_sockets_of_a_session_close_with_it(clock: Clock) -> None:
    sessions = Sessions(TOKEN, clock=clock)
    mine, other = sessions.new(), sessions.new()
    closed: list[str] = []
    with sessions.watch(mine, lambda: closed.append("mine")), sessions.watch(other, lambda: closed.append("other")):
        await sessions.end(mine)
        assert closed == ["mine"]
        await sessions.end_all()
    assert closed == ["mine", "mine", "other"]
    await sessions.end_all()
    assert closed == ["mine", "mine", "other"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"generation": "x", "ended": {}}', '{"generation": 1, "ended": []}']
)
async def test_a_file_that_cannot_be_read_signs_everybody_out(
    clock: Clock, file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = Sessions(TOKEN, file, clock=clock).new()
    file.write_text(content)
    sessions = Sessions(TOKEN, file, clock=clock)

    assert not sessions.fits(session)
    assert sessions.fits(sessions.new())
    assert "all browsers are signed out" in caplog.text


async def test_a_disk_that_is_full_forgets_only_at_the_restart(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "full").touch()
    sessions = Sessions(TOKEN, tmp_path / "full" / "sessions.json", clock=clock)
    session = sessions.new()
    await sessions.end(session)
    assert not sessions.fits(session)
    assert "a restart forgets" in caplog.text
