"""What of a conversation still goes into the prompt: the last turns, cut in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipecatapp.domain import INTERRUPTED, Message, Turn, TurnRecord, Usage
from pipecatapp.twin.remember.history import BLOCK, KEPT_TURNS, History, TokenEstimate, history_of

pytestmark = pytest.mark.unit


def record(number: int, size: int = 1) -> TurnRecord:
    messages = (Message("user", f"q{number} " * size), Message("assistant", f"a{number} " * size))
    return TurnRecord(Turn(f"t{number}", f"q{number}", f"a{number}", "typed", float(number)), messages)


def test_the_last_ten_turns_are_always_there() -> None:
    history = History()
    for number in range(50):
        history.add(record(number))
        kept = [r.turn.id for r in history.turns]
        assert kept == [f"t{n}" for n in range(number + 1)][-len(kept) :]
        assert len(kept) >= min(number + 1, KEPT_TURNS)


def test_between_two_cuts_every_prompt_begins_with_the_one_before() -> None:
    history, cuts, before = History(), 0, list[Message]()
    for number in range(50):
        cut = history.add(record(number))
        now = history.messages()
        assert cut == (now[: len(before)] != before)
        cuts, before = cuts + cut, now
    assert cuts == (50 - KEPT_TURNS) // BLOCK


def test_a_resumed_history_is_cut_where_it_was_while_it_ran() -> None:
    running, stored = History(), [record(number) for number in range(33)]
    for each in stored:
        running.add(each)
    assert History.resume(stored).messages() == running.messages()


def test_a_turn_without_messages_leaves_no_trace() -> None:
    history = History()
    assert history.add(TurnRecord(Turn("t", "q", "sorry", "typed", 0.0), ())) is False
    assert history.turns == ()


def test_turns_that_do_not_fit_go_in_blocks() -> None:
    history = History([record(number, size=40) for number in range(12)])
    estimate = TokenEstimate(characters_per_token=3.0)
    around = [Message("system", "x" * 300), Message("user", "y" * 30)]
    assert history.fit(around, estimate, budget=800)
    assert 0 < len(history.turns) < 12
    assert estimate.tokens([*around, *history.messages()]) <= 800
    assert history.fit(around, estimate, budget=800) is False


def test_a_request_that_alone_is_too_large_empties_the_history() -> None:
    history = History([record(1)])
    assert history.fit([Message("user", "y" * 9000)], TokenEstimate(3.0), budget=500)
    assert history.turns == ()
    assert history.drop_block() is False


def test_the_estimate_learns_from_the_servers_count() -> None:
    estimate = TokenEstimate()
    messages = [Message("user", "x" * 400)]
    estimate.learn(messages, Usage(prompt_tokens=106))
    assert estimate.tokens(messages) == 106
    estimate.learn(messages, Usage())  # a server that counts nothing teaches nothing
    assert estimate.tokens(messages) == 106


def test_what_was_heard_replaces_the_answer() -> None:
    history = History([record(1), record(2)])
    assert history.record_heard("t2", "a") is not None
    assert history.messages()[-1] == Message("assistant", "a")
    assert history.turns[1].turn.interrupted
    history.record_heard("t2", "")
    assert history.messages()[-1] == Message("assistant", INTERRUPTED)
    assert history.record_heard("t9", "a") is None


def test_a_clients_messages_become_turns() -> None:
    messages = [Message("assistant", "Hi."), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    history = history_of(messages)
    assert history.messages() == messages
    assert [(r.turn.user_text, r.turn.assistant_text) for r in history.turns] == [("", "Hi."), ("a", "b"), ("c", "")]


def test_a_resumed_history_has_no_first_half_of_a_request_that_was_said_again() -> None:
    half = TurnRecord(
        Turn("h", "turn off", "", "voice", 1.0, interrupted=True),
        (Message("user", "turn off"), Message("assistant", INTERRUPTED)),
    )
    whole = TurnRecord(Turn("w", "turn off the light", "Done.", "voice", 2.0), (Message("user", "turn off the light"),))
    running = History([record(1), half])
    running.drop_unheard("turn off the light")
    running.add(whole)
    assert History.resume([record(1), half, whole]).messages() == running.messages()
    assert len(running.turns) == 2


def test_a_client_with_a_very_long_history_does_not_hold_everybody_up() -> None:
    counted = 0

    class Counting(TokenEstimate):
        def tokens(self, messages: Sequence[Message]) -> int:
            nonlocal counted
            counted += len(messages)
            return super().tokens(messages)

    history = history_of([Message("user", "x")] * 20_000)
    assert history.fit([], Counting(), budget=500)
    assert 0 < len(history.turns) < 100
    assert counted == 20_000
