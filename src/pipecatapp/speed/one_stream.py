"""Measures one stream of a llama-server that runs, by its own clock: what one person who talks to it gets.

Also of prima.cpp, whose llama-bench does not run. The server says how long prompt and answer took it; the way to it is
not in that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from pipecatapp.errors import EngineError
from pipecatapp.speed.energy import Joules

WRITES = 32
# Words of everyday, over and over: what a text says does not change how fast it is read.
_TEXT = "it is that you have this from the word of all and not one of them was there when we came home "
# No prompt is measured that would take longer: nobody would wait for it either.
LONGEST_PROMPT_S = 1800.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Stream:
    """Tokens a second by the length of the prompt; energy for one token, None where nobody says."""

    prompt: dict[int, float] = field(default_factory=dict)
    generated: dict[int, float] = field(default_factory=dict)
    joules_per_token: float | None = None


async def measure(http: httpx.AsyncClient, lengths: Sequence[int], context: int, say: Say) -> Stream:
    """Read prompts of these lengths and write behind each.

    Args:
        http: a client of the server, with its key.
        lengths: in tokens; what does not fit is left out.
        context: tokens that the server holds for one stream.
        say: told what is left out, and why.

    Raises:
        EngineError: the server does not answer as a llama-server does.
    """
    found = Stream()
    words = await _tokens(http, max(lengths))
    energy = Joules()
    warm = await _complete(http, words[:8], 2 * WRITES)
    used = energy.used()
    found.joules_per_token = used / warm["predicted_n"] if used else None
    speed = 0.0
    for length in sorted(lengths):
        if length + WRITES > context:
            say(f"{length} tokens: more than its {context} tokens of context")
            continue
        if speed and length / speed > LONGEST_PROMPT_S:
            say(f"{length} tokens: would take {length / speed / 60:.0f} minutes")
            continue
        timings = await _complete(http, words[:length], WRITES)
        speed = found.prompt[length] = timings["prompt_per_second"]
        found.generated[length] = timings["predicted_per_second"]
    return found


async def context_of(http: httpx.AsyncClient) -> int:
    """The tokens that a server holds for one stream.

    Raises:
        EngineError: it does not say.
    """
    said = await _json(http, "GET", "/props")
    settings = said.get("default_generation_settings")
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    if not isinstance(context, int) or context <= 0:
        raise EngineError("the engine does not say how many tokens it holds")
    return context


async def _tokens(http: httpx.AsyncClient, count: int) -> list[int]:
    """So many tokens of everyday text, in the model's own numbers."""
    text = _TEXT
    while True:
        said = (await _json(http, "POST", "/tokenize", {"content": text})).get("tokens")
        if not isinstance(said, list) or not said or not all(isinstance(token, int) for token in said):
            raise EngineError("the engine does not say what tokens a text has")
        if len(said) >= count:
            return said[:count]
        text *= 1 + count // len(said)


async def _complete(http: httpx.AsyncClient, prompt: Sequence[int], writes: int) -> dict[str, float]:
    # Deterministic, and with nothing left over from the request before.
    body = {"prompt": list(prompt), "n_predict": writes, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    timings = (await _json(http, "POST", "/completion", body)).get("timings")
    names = ("predicted_n", "prompt_per_second", "predicted_per_second")
    if not isinstance(timings, dict) or not all(isinstance(timings.get(name), int | float) for name in names):
        raise EngineError("the engine does not say how long it took")
    values = {name: float(timings[name]) for name in names}
    if min(values.values()) <= 0:
        raise EngineError("the engine wrote nothing")
    return values


async def _json(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> dict[str, Any]:
    try:
        answer = await http.request(method, path, json=body)
        if answer.status_code != httpx.codes.OK:
            raise EngineError(f"the engine answers {path} with {answer.status_code}: {answer.text[:200]}")
        said = answer.json()
    except httpx.HTTPError as error:
        raise EngineError(f"the engine does not answer {path}: {type(error).__name__}") from error
    except ValueError as error:
        raise EngineError(f"the engine answers {path} with no JSON") from error
    if not isinstance(said, dict):
        raise EngineError(f"the engine answers {path} as no llama-server would")
    return said
