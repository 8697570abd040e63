"""The camera, made from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pipecatapp.parts import Part
from pipecatapp.ports import EventSink, HealthSource
from pipecatapp.settings import Settings
from pipecatapp.vision.attention import Attention
from pipecatapp.vision.camera_watcher import CameraWatcher, NoCamera
from pipecatapp.vision.registry import create_camera_watcher


class VisionPart(Part):
    """The camera.

    Args:
        watcher: looks at it.
        attention: told of every event, so that looking waits for voices.
        ready: returns when the processor can be spared.
    """

    def __init__(
        self, watcher: CameraWatcher | NoCamera, attention: Attention, ready: Callable[[], Awaitable[object]]
    ) -> None:
        self.watcher = watcher
        self.attention = attention
        self._ready = ready
        self._starting: asyncio.Task[None] | None = None

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The component ``vision``, where there is a camera."""
        return {"vision": self.watcher} if isinstance(self.watcher, CameraWatcher) else {}

    async def start(self) -> None:
        """Open it as soon as the processor can be spared."""
        self._starting = asyncio.create_task(self._start(), name="start the camera")

    async def stop(self) -> None:
        """Close it."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await asyncio.to_thread(self.watcher.stop)

    async def _start(self) -> None:
        await self._ready()
        self.watcher.start()


def create(settings: Settings, sink: EventSink, ready: Callable[[], Awaitable[object]]) -> VisionPart:
    """The camera that the settings ask for; opens and loads nothing.

    Raises:
        ConfigurationError: a name is unknown, or something that it needs is absent.
    """
    attention = Attention()
    watcher = create_camera_watcher(
        settings.vision_service,
        settings.camera,
        settings.models,
        sink,
        moondream_url=str(settings.moondream_url or ""),
        busy=attention.busy,
    )
    return VisionPart(watcher, attention, ready)
