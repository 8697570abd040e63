"""What of an answer was heard, by the player's acknowledgements or by the clock."""

from __future__ import annotations

import numpy as np
import pytest

from pipecatapp.voice.aloud.pieces import Piece
from pipecatapp.voice.playback import Playback

pytestmark = pytest.mark.unit

RATE = 1000
TEXT = "one two three four five six "
WORDS = [Piece(TEXT, TEXT)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sound(seconds: float) -> bytes:
    return (np.ones(int(seconds * RATE), dtype=np.int16) * 1000).tobytes()


def playing(clock: Clock, seconds: float = 3.0) -> Playback:
    playback = Playback(RATE, 1, clock)
    playback.add(WORDS, sound(seconds))
    while (piece := playback.next_unsent()) is not None:
        playback.sent(piece)
    return playback


def test_a_clause_is_cut_into_pieces_that_join_to_the_whole() -> None:
    playback = Playback(RATE, 7, Clock())
    pieces = playback.add(WORDS, sound(3.0))
    assert len(pieces) > 2
    assert "".join(piece.text for piece in pieces) == TEXT
    assert b"".join(piece.pcm for piece in pieces) == sound(3.0)
    assert [piece.mark for piece in pieces] == list(range(7, 7 + len(pieces)))
    assert playback.next_mark == 7 + len(pieces)


def test_the_cut_moves_to_the_quiet_place_between_words() -> None:
    samples = np.ones(1200, dtype=np.int16) * 1000
    samples[560:580] = 0
    pieces = Playback(RATE, 1, Clock()).add([Piece("aaaaa bbbbb", "aaaaa bbbbb")], samples.tobytes())
    assert len(pieces) == 2
    assert 560 <= len(pieces[0].pcm) // 2 <= 580


def test_only_acknowledged_pieces_were_heard() -> None:
    playback = playing(Clock())
    first = playback.unheard()[0]
    assert playback.played(first.mark)
    assert playback.heard_text() == first.text.strip()
    assert not playback.played(first.mark)
    assert not playback.played(999)


def test_after_a_stop_the_rest_is_sent_again_under_new_marks() -> None:
    playback = playing(Clock())
    old = [piece.mark for piece in playback.unheard()]
    playback.played(old[0])
    playback.stop()
    assert not playback.played(old[1]), "the sound behind this mark was thrown away"
    again = playback.next_unsent()
    assert again is not None
    assert again.mark not in old


def test_a_player_that_never_acknowledges_plays_in_real_time() -> None:
    clock = Clock()
    playback = playing(clock)
    assert playback.heard_text() == ""
    clock.now = 1.6
    heard = playback.heard_text()
    assert heard.startswith("one")
    assert "six" not in heard
    assert playback.remaining_s() == pytest.approx(1.4)
    clock.now = 3.1
    assert playback.heard_text() == TEXT.strip()
    assert playback.unheard() == []


def test_remaining_counts_from_where_the_sound_stopped() -> None:
    clock = Clock()
    playback = playing(clock)
    clock.now = 1.6
    playback.stop()
    left = sum(piece.seconds for piece in playback.unheard())
    clock.now = 9.0
    assert playback.remaining_s() == pytest.approx(left)


def test_what_was_played_lately_is_known_through_a_stop() -> None:
    playback = Playback(RATE, 1, Clock())
    playback.add(WORDS, sound(3.0))
    assert playback.lately() == ""
    piece = playback.next_unsent()
    assert piece is not None
    playback.sent(piece)
    playback.stop()
    assert playback.lately().startswith("one two")


def test_signs_without_a_sound_are_heard_with_the_words_before_them() -> None:
    playback = playing(clock := Clock())
    playback.add_silent("**")
    clock.now = 9.0
    assert playback.heard_text() == f"{TEXT}**"
