"""The token, the session, tickets and guessing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.auth import TICKET_S, Access, load_token

pytestmark = pytest.mark.unit

TOKEN = "t" * 43


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(TOKEN, attempts=3, window_s=60, clock=clock)


def test_the_token_is_made_once_long_and_readable_by_the_service_alone(tmp_path: Path) -> None:
    first = load_token(tmp_path / "state")

    assert load_token(tmp_path / "state") == first
    assert len(first) >= 43
    assert (tmp_path / "state" / "token").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["token"]


def test_two_installations_have_different_tokens(tmp_path: Path) -> None:
    assert load_token(tmp_path / "a") != load_token(tmp_path / "b")


def test_a_token_that_others_can_read_is_closed_again(tmp_path: Path) -> None:
    load_token(tmp_path)
    (tmp_path / "token").chmod(0o644)

    load_token(tmp_path)

    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_broken_token_file_refuses_to_start_and_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    (tmp_path / "token").chmod(0o600)

    with pytest.raises(ConfigurationError, match="delete it and start again"):
        load_token(tmp_path)


def test_wrong_tokens_make_only_that_address_wait(access: Access, clock: Clock) -> None:
    for _ in range(3):
        assert not access.token_fits("wrong", "10.0.0.5")

    assert access.must_wait("10.0.0.5") == 60
    assert access.must_wait("10.0.0.6") == 0

    clock.now += 61
    assert access.must_wait("10.0.0.5") == 0
    assert access.token_fits(TOKEN, "10.0.0.5")


def test_the_right_token_clears_earlier_slips(access: Access) -> None:
    access.token_fits("wrong", "a")
    access.token_fits("wrong", "a")
    access.token_fits(TOKEN, "a")
    access.token_fits("wrong", "a")

    assert access.must_wait("a") == 0


def test_a_ticket_signs_in_once_and_soon(access: Access, clock: Clock) -> None:
    ticket = access.new_ticket()

    assert access.ticket_fits(ticket)
    assert not access.ticket_fits(ticket)

    late = access.new_ticket()
    clock.now += TICKET_S + 1
    assert not access.ticket_fits(late)
    assert not access.ticket_fits("")


def test_guesses_from_one_network_of_ipv6_count_together(access: Access) -> None:
    for number in range(3):
        access.token_fits("wrong", f"2001:db8::{number}")
    assert access.must_wait("2001:db8::99")
    assert not access.must_wait("2001:db8:0:1::99")


def test_only_so_many_guessers_are_remembered(access: Access) -> None:
    for number in range(1500):
        for _ in range(3):
            access.token_fits("wrong", f"10.0.{number // 250}.{number % 250}")
    assert not access.must_wait("10.0.0.0")
    assert access.must_wait("10.0.5.249")


async def test_signing_out_everywhere_ends_tickets_too(access: Access) -> None:
    ticket, session = access.new_ticket(), access.sessions.new()
    await access.sign_out_everywhere()
    assert not access.ticket_fits(ticket)
    assert not access.sessions.fits(session)
