"""The scripted language model server counts its prefix cache like llama-server: the latency bench stands on it."""

from __future__ import annotations

import pytest

from testing.fakes.llm_server import PROFILES, ScriptedServer, tokens

pytestmark = pytest.mark.unit

FRONT = "<|im_start|>system\nYou are a twin.<|im_end|>\n"
FIRST, SECOND, THIRD = (
    f"<|im_start|>user\nThis is the {n} long question of mine<|im_end|>\n" for n in ("one", "two", "six")
)


async def ask(
    server: ScriptedServer, prompt: str, reply: str = "", slot: int | None = 0, reuse: int = 0
) -> tuple[int, int]:
    """Run a request; tokens cached and evaluated."""
    job = server.start(prompt, reply, slot, reuse)
    while await job.out.get() is not None:
        pass
    return job.timings["cache_n"], job.timings["prompt_n"]


async def test_only_what_is_new_is_evaluated() -> None:
    server = ScriptedServer(PROFILES["instant"])
    front, first = len(tokens(FRONT)), len(tokens(FIRST))
    assert await ask(server, FRONT) == (0, front)
    assert await ask(server, FRONT + FIRST) == (front, first)
    assert await ask(server, FRONT + FIRST, "Hello there.") == (front + first - 1, 1)
    # What was generated stands in the cache, too.
    prompt = FRONT + FIRST + "Hello there." + SECOND
    assert await ask(server, prompt) == (len(tokens(FRONT + FIRST + "Hello there.")), len(tokens(SECOND)))


async def test_slots_do_not_share_and_the_most_alike_is_picked() -> None:
    server = ScriptedServer(PROFILES["instant"])
    await ask(server, FRONT + FIRST, slot=1)
    assert (await ask(server, FRONT + FIRST, slot=2))[0] == 0
    assert (await ask(server, FRONT + FIRST + SECOND, slot=None))[0] == len(tokens(FRONT + FIRST))


async def test_old_turns_can_be_cut_out_when_the_rest_may_be_moved() -> None:
    whole, cut = FRONT + FIRST + SECOND + THIRD, FRONT + SECOND + THIRD
    stiff, supple = ScriptedServer(PROFILES["instant"]), ScriptedServer(PROFILES["instant"])
    await ask(stiff, whole)
    await ask(supple, whole)
    cached, evaluated = await ask(stiff, cut)
    assert evaluated > len(tokens(THIRD))
    cached, evaluated = await ask(supple, cut, reuse=4)
    assert evaluated <= 2
    assert cached + evaluated == len(tokens(cut))
