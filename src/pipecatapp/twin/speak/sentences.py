"""What the agent says when something went wrong: one sentence for each kind of failure, and the event's kind."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipecatapp.errors import ContextOverflowError, ModelNotReadyError, ModelUnreachableError, SpeechError


@dataclass(frozen=True, slots=True)
class Apology:
    """``kind`` for programs, ``text`` for people."""

    kind: str
    text: str


EMPTY = Apology("empty", "I have no answer to that. Please say it in other words.")
NO_CALL = Apology("tool_call", "I wanted to use a tool and did not get it right. Please say it in other words.")
CUT_OFF = Apology("length", "I thought about that for too long and came to no answer. Please ask it in a simpler way.")
TOO_MANY_CALLS = Apology("tool_loop", "I used several tools and did not get to an end.")
BUG = Apology("bug", "Something went wrong inside me. It is in the log; please try again.")

# In front of what another one says while the expert wakes.
MEANWHILE = "Meanwhile, without it: "

# At the end of an answer that had no more room; a yes goes on with it.
MORE = "There is more, shall I go on?"


def waking(expert: str, seconds: float) -> str:
    """Who wakes, and about how long it takes: to five seconds, or to a minute from two minutes on."""
    from num2words import num2words

    if seconds < 120:
        return f"The {expert} expert is waking, about {num2words(5 * max(1, math.ceil(seconds / 5)))} seconds."
    return f"The {expert} expert is waking, about {num2words(round(seconds / 60))} minutes."


def apology(error: BaseException, *, restarts_engine: bool = True) -> Apology:
    """The sentence for this error. ``restarts_engine``: the engine runs on this PC and is started again by itself."""
    match error:
        case ModelNotReadyError(progress=float() as progress):
            return Apology("not_ready", f"I am still waking up, about {round(progress * 100)} percent is done.")
        case ModelNotReadyError():
            return Apology("not_ready", "I am still waking up. Please give me a moment.")
        case ModelUnreachableError() if restarts_engine:
            return Apology("unreachable", "My language engine stopped; I am starting it again.")
        case ModelUnreachableError():
            return Apology("unreachable", "My language engine does not answer. Please try again in a moment.")
        case ContextOverflowError():
            return Apology("overflow", "That is more than I can hold in mind at once. Please make it shorter.")
        case SpeechError():
            return Apology("speech", "I could not understand the sound. Please say it again.")
        case _:
            return BUG
