"""From exception to status."""

from __future__ import annotations

import inspect

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from pipecatapp import errors
from pipecatapp.errors import (
    ContextOverflowError,
    MissingExtraError,
    ModelNotReadyError,
    PipecatAppError,
    SettledError,
    ToolError,
    UnknownChoiceError,
)
from pipecatapp.web.errors import PROBLEMS, BadRequestError, answer_errors, error_body, find_problem

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownChoiceError("state", "x", ["y"]), 404),
        (MissingExtraError("it", "whisper"), 400),
        (SettledError("gone"), 409),
        (ContextOverflowError("too long"), 400),
        (ModelNotReadyError("loading"), 503),
        (BadRequestError("no such model", "model", 404, "model_not_found"), 404),
    ],
)
def test_an_exception_is_answered_like_its_nearest_ancestor(error: Exception, status: int) -> None:
    problem = find_problem(error)
    assert problem is not None
    assert problem.status == status


def test_what_nobody_expects_has_no_entry() -> None:
    assert find_problem(ToolError("x")) is None
    assert find_problem(KeyError("x")) is None


def test_every_exception_of_the_table_is_one_of_ours() -> None:
    ours = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PipecatAppError)}
    assert set(PROBLEMS) <= ours


def test_the_body_is_one_that_clients_of_openai_read() -> None:
    problem = find_problem(ContextOverflowError("too long"))
    assert problem is not None
    assert error_body("too long", problem) == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }


async def test_who_hangs_up_in_the_middle_of_a_request_writes_nothing_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()
    answer_errors(app)

    @app.post("/login")
    async def log_in(request: Request) -> str:
        return (await request.body()).decode()

    received: list[Message] = [
        {"type": "http.request", "body": b"to", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        assert message["type"].startswith("http.response.")

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert received == []
    assert caplog.records == []
