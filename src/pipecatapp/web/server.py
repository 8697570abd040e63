"""Mission Control as one ASGI app: the gate, the routes, the files of the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from pipecatapp.web.access import AccessMiddleware
from pipecatapp.web.cors import ApiCors
from pipecatapp.web.errors import answer_errors
from pipecatapp.web.hosts import HostRule
from pipecatapp.web.mcp import PATH, McpEndpoint
from pipecatapp.web.routes import (
    api,
    approvals,
    backup,
    benchmarks,
    camera,
    experts,
    health,
    house,
    lists,
    memory,
    openai,
    pages,
    power,
    schedule,
    session,
    sockets,
    state,
)
from pipecatapp.web.services import WebServices

STATIC = Path(__file__).parent / "static"


def create_app(services: WebServices) -> FastAPI:
    """Put the app together. Its lifespan binds the hub to the loop and watches the components' health."""

    endpoint = McpEndpoint(services.external_calls, services.memory, services.version)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.hub.bind(asyncio.get_running_loop())
        services.health.start()
        yield
        await endpoint.aclose()
        await services.health.stop()

    login = session.LoginPages(services.access, STATIC / "login.html")
    gate = Middleware(
        AccessMiddleware, access=services.access, hosts=HostRule(services.allowed_hosts), denied=login.denied
    )
    middleware = [Middleware(ApiCors, origins=services.cors_origins), gate] if services.cors_origins else [gate]
    app = FastAPI(
        title="pipecatapp", version=services.version, lifespan=lifespan, middleware=middleware,
        docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.include_router(session.create_router(login))
    app.include_router(pages.create_router(services, STATIC))
    app.include_router(health.create_router(services))
    app.include_router(api.create_router(services))
    app.include_router(camera.create_router(services))
    app.include_router(memory.create_router(services))
    app.include_router(lists.create_router(services))
    app.include_router(schedule.create_router(services))
    app.include_router(state.create_router(services))
    app.include_router(backup.create_router(services))
    app.include_router(experts.create_router(services))
    app.include_router(house.create_router(services))
    app.include_router(power.create_router(services))
    app.include_router(benchmarks.create_router(services))
    app.include_router(approvals.create_router(services))
    app.include_router(openai.create_router(services))
    app.include_router(sockets.create_router(services))
    app.router.routes.append(Route(PATH, endpoint))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    services.hub.add_listener(services.metrics.observe)

    answer_errors(app)
    return app
