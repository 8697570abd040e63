"""Describes a picture in words: Moondream 2 with its projector in a llama-server, asked over the OpenAI API."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable

import httpx

from pipecatapp.errors import PipecatAppError
from pipecatapp.json_bounds import load_json

logger = logging.getLogger(__name__)

WITHIN_S = 25.0
# A server that did not answer in time is not asked again for so long: every question would wait in vain.
RESTS_S = 60.0
_DESCRIBE = "Describe what you see in one or two short sentences."
_TOKENS = 96
_QUESTION = 300  # characters
_ANSWER = 400
_LARGEST = 256 * 1024


class DescriptionError(PipecatAppError):
    """No description came; says why."""


class Moondream:
    """A llama-server with a model that sees.

    Args:
        url: its base URL, with or without ``/v1``.
        within_s: how long a description may take.
        clock: seconds that only go forward.
    """

    def __init__(self, url: str, *, within_s: float = WITHIN_S, clock: Callable[[], float] = time.monotonic) -> None:
        root = url.rstrip("/").removesuffix("/v1")
        self._url = f"{root}/v1/chat/completions"
        self._within_s = within_s
        self._clock = clock
        self._rests_until = 0.0

    async def describe(self, jpeg: bytes, question: str = "") -> str:
        """What the picture shows, or the answer to the question about it; one line of text.

        Raises:
            DescriptionError: it is not there, too slow, or answers nonsense.
        """
        if self._clock() < self._rests_until:
            raise DescriptionError("Moondream did not answer in time a moment ago")
        try:
            async with asyncio.timeout(self._within_s):
                text = await self._ask(jpeg, question)
        except TimeoutError:
            self._rests_until = self._clock() + RESTS_S
            raise DescriptionError(f"Moondream did not answer within {self._within_s:g} seconds") from None
        except httpx.HTTPError as error:
            raise DescriptionError(f"Moondream cannot be reached: {error or type(error).__name__}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DescriptionError("Moondream's answer cannot be understood") from error
        if not text:
            raise DescriptionError("Moondream had nothing to say")
        return text

    async def _ask(self, jpeg: bytes, question: str) -> str:
        words = " ".join(question.split())[:_QUESTION]
        prompt = f"{words}\nAnswer from the picture. {_DESCRIBE}" if words else _DESCRIBE
        picture = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
        request = {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": picture}},
                        {"type": "text", "text": prompt},
                    ],
                }
            ],
            "max_tokens": _TOKENS,
            "temperature": 0,
            "stream": False,
        }
        async with (
            httpx.AsyncClient(timeout=self._within_s, trust_env=False) as client,
            client.stream("POST", self._url, json=request) as response,
        ):
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _LARGEST:
                    raise ValueError("the answer is too long")
        if response.status_code != httpx.codes.OK:
            raise DescriptionError(f"Moondream answered {response.status_code}: {_complaint(body)}")
        content = load_json(body)["choices"][0]["message"]["content"]
        if not isinstance(content, str):
            raise TypeError("the answer is no text")
        return _shortened(" ".join(content.split()))


def _complaint(body: bytes) -> str:
    """What an OpenAI server says is wrong."""
    try:
        return str(load_json(body)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "without a reason"


def _shortened(text: str) -> str:
    """Short enough to be spoken, cut at the end of a sentence where there is one."""
    if len(text) <= _ANSWER:
        return text
    cut = text[:_ANSWER]
    end = max(cut.rfind(mark) for mark in (". ", "! ", "? "))
    return cut[: end + 1] if end > 0 else f"{cut.rpartition(' ')[0] or cut}..."
