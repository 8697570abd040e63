"""The page itself, the page about the certificate, and the files they are made of."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from pipecatapp.web.services import WebServices


def create_router(services: WebServices, static: Path) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/")
    async def show_page(request: Request) -> Response:
        if request.query_params:  # logged in already: only take the token out of the address line
            return RedirectResponse("/", 303)
        return FileResponse(static / "index.html")

    @router.get("/ca")
    async def explain_certificate() -> Response:
        return FileResponse(static / "ca.html")

    @router.get("/ca.crt")
    async def give_certificate() -> Response:
        if services.ca_certificate is None or not services.ca_certificate.exists():
            return Response("TLS is off here (WEB_TLS_PORT=0)", 404, media_type="text/plain")
        return FileResponse(
            services.ca_certificate, media_type="application/x-x509-ca-cert", filename="pipecatapp-ca.crt"
        )

    @router.get("/favicon.ico")
    async def show_favicon() -> Response:
        return FileResponse(static / "favicon.svg", media_type="image/svg+xml")

    return router
