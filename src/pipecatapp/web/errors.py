"""What went wrong, as HTTP: one table from exception to status, one shape for every answer.

The shape is that of OpenAI's API, so that any client of theirs can read it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from pipecatapp.errors import (
    ConfigurationError,
    ContextOverflowError,
    ModelError,
    PipecatAppError,
    RequestRefusedError,
    SettledError,
    StorageError,
    UnfitDecisionError,
    UnknownChoiceError,
    UnknownRequestError,
)

log = logging.getLogger(__name__)

INVALID, SERVER = "invalid_request_error", "server_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """How an exception is answered: the status, and the words that programs go by."""

    status: int
    kind: str = INVALID
    code: str | None = None
    param: str | None = None


# An exception that is not listed is answered like the nearest of its ancestors; one that has none is a 500.
PROBLEMS: dict[type[PipecatAppError], Problem] = {
    UnknownChoiceError: Problem(404),
    ConfigurationError: Problem(400),
    UnknownRequestError: Problem(404),
    SettledError: Problem(409),
    UnfitDecisionError: Problem(400),
    ContextOverflowError: Problem(400, code="context_length_exceeded", param="messages"),
    RequestRefusedError: Problem(400),
    ModelError: Problem(503, SERVER, "engine_failed"),
    StorageError: Problem(507),
}
GONE = 499  # who asked hung up before the request was whole: nobody reads the answer
UNEXPECTED = "something went wrong here; the log says what"


class BadRequestError(Exception):
    """What a client sent cannot be answered. The text says why, ``param`` names the field."""

    def __init__(self, text: str, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(text)
        self.problem = Problem(status, INVALID, code, param)


def find_problem(error: Exception) -> Problem | None:
    """How this exception is answered; None: nobody expected it."""
    if isinstance(error, BadRequestError):
        return error.problem
    return next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), None)


def error_body(text: str, problem: Problem) -> dict[str, Any]:
    """The body of an error."""
    return {
        "error": {"message": text, "type": problem.kind, "param": problem.param, "code": problem.code},
    }


def error_response(text: str, problem: Problem) -> JSONResponse:
    """The answer to a request that failed."""
    return JSONResponse(error_body(text, problem), problem.status)


def answer_errors(app: FastAPI) -> None:
    """Have ``app`` answer every exception of its routes in this shape."""

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return error_response(f"{where or 'body'}: {first['msg']}", Problem(400, param=where or None))

    @app.exception_handler(HTTPException)
    async def answer_http(_: Request, error: HTTPException) -> Response:
        return error_response(str(error.detail), Problem(error.status_code))

    @app.exception_handler(BadRequestError)
    async def answer_bad_request(_: Request, error: BadRequestError) -> Response:
        return error_response(str(error), error.problem)

    async def answer_expected(_: Request, error: Exception) -> Response:
        return error_response(str(error), find_problem(error) or Problem(500, SERVER))

    for kind in PROBLEMS:
        app.add_exception_handler(kind, answer_expected)

    @app.exception_handler(ClientDisconnect)
    async def answer_nobody(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(Exception)
    async def answer_unexpected(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return error_response(UNEXPECTED, Problem(500, SERVER))
