"""The camera watcher: looks at the camera's newest picture, says what changed, answers what is there.

One thread does it all, one look after the other. After each look it rests in proportion to what the look has cost
(pace.py), and while somebody speaks or waits for an answer it rests altogether, but for a look that was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipecatapp.domain import CameraView, ComponentHealth, VisionAnswer
from pipecatapp.errors import ConfigurationError
from pipecatapp.events import Observation
from pipecatapp.languages import language
from pipecatapp.ports import EventSink
from pipecatapp.vision.camera import Camera, Frame
from pipecatapp.vision.drawing import annotated, jpeg
from pipecatapp.vision.moondream import DescriptionError, Moondream
from pipecatapp.vision.pace import SHARE, rest_after, stand_back
from pipecatapp.vision.pictures import Detector, Thing
from pipecatapp.vision.scene import Scene

logger = logging.getLogger(__name__)

BLIND = "The camera shows me nothing now."
_COSTLY = "its pictures alone take more of the processor than they should; choose a smaller stream of this camera"

# The longest wait for a look that a person asked for; a Core 2 takes about a second for one.
_LOOK_WITHIN_S = 8.0
_FRAME_WITHIN_S = 1.0
_BUSY_FOR_S = 0.2
_FAILED_FOR_S = 10.0
_ON_PAGE, _FOR_MODEL = 960, 768  # pixels


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: the picture and what was found in it."""

    frame: Frame
    things: tuple[Thing, ...]
    counts: dict[str, int]


class CameraWatcher:
    """Watches a camera. Implements ``ports.Vision`` and ``ports.HealthSource``.

    Args:
        camera: gives the pictures.
        load: loads the detector, in the watcher's thread; None: nothing is detected, only described.
        detector: its name.
        sink: where observations go.
        describer: describes pictures in words, where there is one.
        busy: whether the processor belongs to the voice now.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        camera: Camera,
        load: Callable[[], Detector] | None,
        detector: str,
        sink: EventSink,
        *,
        describer: Moondream | None = None,
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._camera = camera
        self._load = load
        self._name = detector
        self._sink = sink
        self._describer = describer
        self._busy = busy
        self._clock = clock
        self._scene = Scene()
        self._detector: Detector | None = None
        self._trouble = ""
        self._observed = ""
        self._last: _Look | None = None
        self._read_cost = self._looked_at = 0.0
        self._costly = False
        self._turn = threading.Condition()
        self._asked = self._answered = 0
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def describes(self) -> bool:
        """Whether answers may be a model's own words."""
        return self._describer is not None

    def start(self) -> None:
        """Open them; returns at once."""
        if self._thread is None:
            self._camera.start()
            self._thread = threading.Thread(target=self._run, name="camera watcher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Close them. Blocks for a moment."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        self._camera.stop()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def glance(self) -> str:
        """What is in view, in a sentence; empty as long as nothing ever was."""
        if not self._observed:
            return ""
        return BLIND if self.trouble else self._observed

    @property
    def trouble(self) -> str:
        """Why they do not see; empty while they do."""
        return self._trouble or self._camera.trouble

    async def look(self, question: str = "") -> VisionAnswer:
        """Look now: a description where a model gives one, the detector's words otherwise."""
        look = await asyncio.to_thread(self._look_now)
        if look is None:
            return VisionAnswer(f"I cannot see anything now: {self.trouble or 'the camera is still starting'}.")
        note = ""
        if self._describer is not None:
            try:
                picture = await asyncio.to_thread(jpeg, look.frame.picture, _FOR_MODEL)
                return VisionAnswer(await self._describer.describe(picture, question), "moondream")
            except DescriptionError as error:
                logger.warning("no description: %s", error)
                note = str(error)
        if self._load is None:
            return VisionAnswer(f"I cannot say what I see: {note}.", note=note)
        return VisionAnswer(language().things.describe(look.counts), self._name, note)

    def view(self) -> CameraView:
        """The state for the page."""
        look = self._last
        return CameraView(
            on=True,
            source=self._camera.source.shown,
            detector=self._name,
            text=self._observed,
            things=tuple(self._scene.things),
            at=look.frame.at if look is not None else None,
            trouble=self.trouble,
        )

    async def picture(self) -> bytes | None:
        """The latest picture that was looked at, with what was found, as JPEG; None while there is none."""
        look = self._last
        if look is None:
            return None
        return await asyncio.to_thread(lambda: jpeg(annotated(look.frame.picture, look.things), _ON_PAGE))

    async def health(self) -> ComponentHealth:
        """The health of component ``vision``. Without a camera the agent answers all the same."""
        if trouble := self.trouble:
            return ComponentHealth("vision", ok=False, reason=trouble, vital=False)
        if self._last is None:
            return ComponentHealth("vision", ok=False, reason="waiting for the first picture", vital=False)
        parts = [self._name, self._camera.source.shown, self._camera.note, _COSTLY if self._costly else ""]
        return ComponentHealth("vision", ok=True, reason=", ".join(part for part in parts if part), vital=False)

    def once(self) -> float:
        """One look, if there is a picture; the seconds to rest after it."""
        answering = self._asked
        frame = self._camera.fresh(_FRAME_WITHIN_S)
        if frame is None:
            with self._turn:
                self._turn.notify_all()  # whoever waits for a look learns of the trouble
            return 0.0
        began = self._clock()
        if self._last is None or frame is not self._last.frame:
            things = tuple(self._detector.detect(frame.picture)) if self._detector is not None else ()
            self._saw(frame, things)
        elif self._detector is not None and self._scene.update(self._last.things):
            self._tell()
        read, self._read_cost = self._camera.cpu_s - self._read_cost, self._camera.cpu_s
        looked = self._clock() - began
        with self._turn:
            self._answered = max(self._answered, answering)
            self._turn.notify_all()
        self._costly = read > SHARE * (self._clock() - self._looked_at) and self._looked_at > 0
        self._looked_at = self._clock()
        return rest_after(looked, read)

    def _saw(self, frame: Frame, things: tuple[Thing, ...]) -> None:
        changed = self._detector is not None and self._scene.update(things)
        self._last = _Look(frame, things, self._scene.now(things))
        if changed:
            self._tell()

    def _tell(self) -> None:
        things = self._scene.things
        self._observed = language().things.describe(things)
        logger.info("Observation: %s", self._observed)
        self._sink.emit(Observation(text=self._observed, things=tuple(things)))

    def _look_now(self) -> _Look | None:
        """The result of a look that begins after this call; None when they do not see."""
        with self._turn:
            self._asked += 1
            mine = self._asked
            self._turn.notify_all()
            done = self._turn.wait_for(
                lambda: self._answered >= mine or self._ended or bool(self.trouble), _LOOK_WITHIN_S
            )
            return self._last if done and self._answered >= mine and not self.trouble else None

    def _run(self) -> None:
        stand_back()
        while not self._ended:
            try:
                if self._load is not None and self._detector is None:
                    self._detector = self._load()
                rest = self.once()
                self._trouble = ""
            except ConfigurationError as error:
                rest = self._stumbled(str(error), error)
            except Exception as error:  # noqa: BLE001 - OpenCV and onnxruntime raise what they like; it is their health
                rest = self._stumbled(f"looking failed: {type(error).__name__}: {error}", error)
            self._rest(rest)

    def _stumbled(self, reason: str, error: Exception) -> float:
        if reason != self._trouble:
            logger.error("nothing can be seen: %s", reason, exc_info=not isinstance(error, ConfigurationError))
        with self._turn:
            self._trouble = reason
            self._turn.notify_all()
        return _FAILED_FOR_S

    def _rest(self, seconds: float) -> None:
        """Rest, and go on resting while the voice needs the processor; a look that was asked for ends it."""
        with self._turn:
            self._turn.wait_for(self._called, seconds)
            while not self._called() and self._busy():
                self._turn.wait_for(self._called, _BUSY_FOR_S)

    def _called(self) -> bool:
        return self._ended or (self._asked > self._answered and not self._trouble)


class NoCamera:
    """``ports.Vision`` where there is no camera."""

    describes = False

    def start(self) -> None:
        """There is nothing to open."""

    def stop(self) -> None:
        """There is nothing to close."""

    def glance(self) -> str:
        """Nothing, ever."""
        return ""

    async def look(self, question: str = "") -> VisionAnswer:
        """Say so."""
        return VisionAnswer("There is no camera.", note="VISION_SERVICE is none; see docs/howto/give-it-eyes.md")

    def view(self) -> CameraView:
        """The state for the page."""
        return CameraView(on=False, source="", detector="none", text="", things=(), at=None, trouble="")

    async def picture(self) -> bytes | None:
        """None."""
        return None
