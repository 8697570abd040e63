"""Mission Control as one ASGI app: the gate, the routes, the files of the page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from pipecatapp.web.access import AccessMiddleware
from pipecatapp.web.mcp import PATH, McpEndpoint
from pipecatapp.web.routes import (
    api,
    approvals,
    camera,
    experts,
    health,
    memory,
    openai,
    pages,
    session,
    sockets,
    state,
)
from pipecatapp.web.services import WebServices

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"


def create_app(services: WebServices) -> FastAPI:
    """Put the app together. Its lifespan binds the hub to the loop and watches the components' health."""

    endpoint = McpEndpoint(services.desk, services.memory, services.version)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.hub.bind(asyncio.get_running_loop())
        services.health.start()
        yield
        await endpoint.aclose()
        await services.health.stop()

    login = session.LoginPages(services.access, STATIC / "login.html")
    gate = Middleware(
        AccessMiddleware, access=services.access, allowed_hosts=services.allowed_hosts, denied=login.denied
    )
    app = FastAPI(
        title="pipecatapp", version=services.version, lifespan=lifespan, middleware=[gate],
        docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.include_router(session.routes(login))
    app.include_router(pages.routes(services, STATIC))
    app.include_router(health.routes(services))
    app.include_router(api.routes(services))
    app.include_router(camera.routes(services))
    app.include_router(memory.routes(services))
    app.include_router(state.routes(services))
    app.include_router(experts.routes(services))
    app.include_router(approvals.routes(services))
    app.include_router(openai.routes(services))
    app.include_router(sockets.routes(services))
    app.router.routes.append(Route(PATH, endpoint))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    services.hub.add_listener(services.metrics.observe)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        text = f"{where or 'body'}: {first['msg']}"
        return openai.openai_error(400, text, "invalid_request_error", where or None)

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> Response:
        return openai.openai_error(error.status_code, str(error.detail), "invalid_request_error")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return openai.openai_error(500, "something went wrong here; the log says what", "server_error")

    return app
