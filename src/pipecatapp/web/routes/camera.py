"""What the camera sees, for the page."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from pipecatapp.web.services import WebServices


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/api/camera")

    @router.get("")
    async def show_camera() -> dict[str, object]:
        return asdict(services.camera.view())

    @router.get("/picture")
    async def show_picture() -> Response:
        if (image := await services.camera.picture()) is not None:
            return Response(image, media_type="image/jpeg")
        view = services.camera.view()
        if not view.on:
            raise HTTPException(404, "there is no camera; docs/howto/give-it-eyes.md says how to get one")
        raise HTTPException(404, view.trouble or "there is no picture yet")

    return router
