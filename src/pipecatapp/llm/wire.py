"""What language model servers put on the wire: streams of JSON events, errors, token counts. No I/O here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from pipecatapp.domain import Usage
from pipecatapp.errors import ContextOverflowError, ModelNotReadyError, ModelUnreachableError, RequestRefusedError
from pipecatapp.json_bounds import load_json

# One event is a piece of a sentence; anything this long is no model server.
MAX_LINE = 1_000_000


async def json_events(content: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a stream until ``[DONE]``; comments (pings) and empty lines are skipped.

    Raises:
        ModelUnreachableError: a line is not what such a server sends.
    """
    async for line in _lines(content):
        field, _, value = line.partition(":")
        if field not in ("data", "error"):
            continue
        value = value.strip()
        if value == "[DONE]":
            return
        try:
            event = load_json(value)
        except ValueError as error:
            raise ModelUnreachableError(f"the model server sent something that is not JSON: {value[:80]!r}") from error
        if not isinstance(event, dict):
            raise ModelUnreachableError(f"the model server sent an event that is no object: {value[:80]!r}")
        yield {"error": event} if field == "error" and "error" not in event else event


async def _lines(content: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of a stream. Only LF ends one: inside JSON stand signs that ``str.splitlines`` takes for line ends."""
    held = bytearray()
    async for piece in content:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            yield (held + end).decode("utf-8", "replace")
            held.clear()
        held += rest
        if len(held) > MAX_LINE:
            raise ModelUnreachableError("the model server sent an event of more than a megabyte")
    if held:
        yield held.decode("utf-8", "replace")


def parse_object(content: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        ModelUnreachableError: it is none.
    """
    try:
        value = load_json(content)
    except ValueError as error:
        raise ModelUnreachableError(f"the model server sent something that is not JSON: {content[:80]!r}") from error
    if not isinstance(value, dict):
        raise ModelUnreachableError(f"the model server sent no object: {content[:80]!r}")
    return value


def raise_for_status(code: int, content: bytes) -> None:
    """Raise the ModelError that a refusal means; nothing for a success."""
    if code < httpx.codes.BAD_REQUEST:
        return
    try:
        details = load_json(content).get("error", {})
    except (ValueError, AttributeError):
        details = {}
    raise_error(code, details)


def raise_error(code: int, details: object) -> None:
    """Raise the ModelError for an ``error`` object of the server."""
    known = details if isinstance(details, dict) else {"message": str(details or "")}
    text = str(known.get("message") or f"status {code}")
    kind = f"{known.get('type', '')} {known.get('code', '')}"
    if "exceed_context_size" in kind or "context_length_exceeded" in kind or "context size" in text:
        raise ContextOverflowError(text)
    if code == httpx.codes.SERVICE_UNAVAILABLE or "unavailable_error" in kind:
        raise ModelNotReadyError(f"the model server is not ready: {text}")
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ModelUnreachableError(f"the model server refuses the API key: {text}; set LLM_API_KEY")
    if code in (httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.UNPROCESSABLE_ENTITY):
        raise RequestRefusedError(f"the model server refused the request: {text}")
    raise ModelUnreachableError(f"the model server refused the request: {text}")


def completion_delta(event: Mapping[str, Any]) -> tuple[str, str | None]:
    """The same of an event of llama-server's own ``/completion``."""
    if event.get("error"):
        return delta(event)
    text = str(event.get("content") or "").encode("utf-8", "replace").decode("utf-8")
    if not event.get("stop"):
        return text, None
    return text, "length" if event.get("stop_type") == "limit" else "stop"


def delta(event: Mapping[str, Any]) -> tuple[str, str | None]:
    """The text and the finish reason of one chat event; raises what an error event means."""
    if event.get("error"):
        error = event["error"]
        code = error.get("code") if isinstance(error, dict) else None
        raise_error(code if isinstance(code, int) else 500, error)
    text, reason = "", None
    for choice in event.get("choices") or []:
        if not isinstance(choice, dict):
            raise ModelUnreachableError("the model server sent a choice that is no object")
        text += (choice.get("delta") or {}).get("content") or ""
        reason = choice.get("finish_reason") or reason
    # Servers that escape their JSON may cut a character of two halves into two events: neither half is a text.
    return text.encode("utf-8", "replace").decode("utf-8"), reason


def usage(event: Mapping[str, Any]) -> Usage | None:
    """The server's own counts: llama-server's ``timings``, else OpenAI's ``usage``."""
    timings, usage = event.get("timings"), event.get("usage")
    if isinstance(timings, dict) and "prompt_n" in timings:
        cached = max(0, int(timings.get("cache_n") or 0))
        return Usage(cached + int(timings["prompt_n"]), cached, int(timings.get("predicted_n") or 0))
    if isinstance(usage, dict):
        details = usage.get("prompt_tokens_details") or {}
        return Usage(
            int(usage.get("prompt_tokens") or 0),
            int(details.get("cached_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
    return None
