"""Opens cameras, streams, videos and pictures with OpenCV (extra ``vision``). Everything here may block."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Protocol

from pipecatapp.errors import PipecatAppError
from pipecatapp.vision.pictures import Picture
from pipecatapp.vision.source import Source

# FFmpeg gives up by itself after these; a driver that hangs is noticed by the camera (camera.py).
OPEN_WITHIN_S = 10.0
READ_WITHIN_S = 10.0
# Pixels: what a camera is asked for. Detectors see less than that.
_WIDTH, _HEIGHT = 640, 480
_PICTURE_EVERY_S = 0.5
_SLOWEST, _QUICKEST, _USUAL = 1.0, 120.0, 25.0  # pictures a second that a file may claim
_LARGEST = 8192 * 8192


class CameraError(PipecatAppError):
    """The source gives no picture. The text says why and what to do."""


class Capture(Protocol):
    """An open source. ``interval_s`` is the time between its pictures; 0: it keeps its own time."""

    @property
    def interval_s(self) -> float:
        """Seconds from one picture to the next."""

    def grab(self) -> bool:
        """Go on to the next picture, as cheaply as the source can; False at its end."""

    def retrieve(self) -> Picture | None:
        """The picture that was grabbed. The same object as before: nothing has changed."""

    def close(self) -> None:
        """Let go of it."""


def open_capture(source: Source) -> Capture:
    """Open what the source names.

    Raises:
        CameraError: it is not there, not allowed, or no picture comes.
    """
    if source.kind == "picture":
        return _PictureFile(Path(source.address))
    cv2 = _opencv()
    if source.kind == "device":
        return _Video(_device(cv2, source), 0.0)
    if source.kind == "url":
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_WITHIN_S * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_WITHIN_S * 1000),
            cv2.CAP_PROP_N_THREADS, 1,
        ]  # fmt: skip
        video = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, limits)
        return _opened(_Video(video, 0.0), f"{source.shown} cannot be reached or sends no video")
    if not Path(source.address).is_file():
        raise CameraError(f"there is no file {source.address}; CAMERA names a device, a file or a URL")
    video = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    rate = float(video.get(cv2.CAP_PROP_FPS))
    return _opened(
        _Video(video, 1 / (rate if _SLOWEST <= rate <= _QUICKEST else _USUAL)),
        f"{source.address} is no video that can be read",
    )


def _opencv() -> Any:
    # FFmpeg would print addresses with their passwords.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def _device(cv2: Any, source: Source) -> Any:
    file = Path(source.address if source.address.startswith("/") else f"/dev/video{source.address}")
    try:
        is_device = stat.S_ISCHR(file.stat().st_mode)
    except OSError:
        is_device = False
    if not is_device:
        raise CameraError(f"there is no {source.shown} ({file}); plug one in, or set CAMERA")
    if not os.access(file, os.R_OK | os.W_OK):
        raise CameraError(f"{file} may not be used by this user; add it to the group video and start the agent again")
    size = [cv2.CAP_PROP_FRAME_WIDTH, _WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, _HEIGHT]
    video = cv2.VideoCapture(str(file), cv2.CAP_V4L2, size)
    if not video.isOpened():
        # Not every driver takes wishes.
        video.release()
        video = cv2.VideoCapture(str(file), cv2.CAP_V4L2)
    if not video.isOpened():
        video.release()
        raise CameraError(f"{file} cannot be opened; it is no camera, or another program uses it")
    video.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return video


class _Video:
    """A device, a stream or a video file."""

    def __init__(self, video: Any, interval_s: float) -> None:
        self._video = video
        self.interval_s = interval_s

    @property
    def opened(self) -> bool:
        return bool(self._video.isOpened())

    def grab(self) -> bool:
        """Go on to the next picture."""
        return bool(self._video.grab())

    def retrieve(self) -> Picture | None:
        """The picture."""
        ok, picture = self._video.retrieve()
        return picture if ok and picture is not None and picture.size else None

    def close(self) -> None:
        """Let go of it."""
        self._video.release()


def _opened(video: _Video, problem: str) -> _Video:
    if not video.opened:
        video.close()
        raise CameraError(problem)
    return video


class _PictureFile:
    """A picture that something may replace now and then: read again only when it is another one."""

    interval_s = _PICTURE_EVERY_S

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, int] | None = None
        self._picture: Picture | None = None
        if not file.is_file():
            raise CameraError(f"there is no picture {file}; CAMERA names a device, a file or a URL")

    def grab(self) -> bool:
        """Whether it is still there."""
        return self._file.is_file()

    def retrieve(self) -> Picture | None:
        """The picture. While it is being replaced it may be torn: then the one before."""
        state = self._file.stat()
        version = (state.st_mtime_ns, state.st_size)
        if version != self._read:
            picture = self._decoded()
            if picture is not None:
                self._read, self._picture = version, picture
        if self._picture is None:
            raise CameraError(f"{self._file} is no picture that can be read")
        return self._picture

    def close(self) -> None:
        """Nothing is open."""

    def _decoded(self) -> Picture | None:
        picture: Picture | None = _opencv().imread(str(self._file))
        return picture if picture is not None and 0 < picture.size <= 3 * _LARGEST else None
