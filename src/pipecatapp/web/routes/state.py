"""Named states over HTTP: save what is remembered now, load it again, list and delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from pipecatapp.errors import ConfigurationError, StorageError, UnknownChoiceError
from pipecatapp.web.services import WebServices


class Named(BaseModel):
    """A state by its name."""

    model_config = ConfigDict(extra="forbid")
    save_name: str = Field(max_length=200)


def routes(services: WebServices) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/state")
    states = services.states

    @router.get("")
    async def saved() -> dict[str, object]:
        return {"states": [asdict(info) for info in await states.all()]}

    @router.post("/save")
    async def save(body: Named) -> dict[str, object]:
        with _answered():
            return asdict(await states.save(body.save_name))

    @router.post("/load")
    async def load(body: Named) -> dict[str, object]:
        with _answered():
            before = await states.load(body.save_name)
        return {"loaded": body.save_name, "before": before, "facts": len(services.memory)}

    @router.delete("/{name}")
    async def delete(name: str) -> dict[str, object]:
        with _answered():
            await states.delete(name)
        return {"deleted": name}

    return router


@contextmanager
def _answered() -> Iterator[None]:
    """What went wrong, as a status with its sentence."""
    try:
        yield
    except UnknownChoiceError as error:
        raise HTTPException(404, str(error)) from error
    except ConfigurationError as error:
        raise HTTPException(400, str(error)) from error
    except StorageError as error:
        raise HTTPException(507, str(error)) from error
