"""What ``CAMERA`` names: a device, a URL, a video file or a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pipecatapp.errors import ConfigurationError

Kind = Literal["device", "url", "video", "picture"]

_SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "tcp", "udp")
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_DEVICE = re.compile(r"\d{1,3}")
_DEVICES = "/dev/video"


@dataclass(frozen=True, slots=True)
class Source:
    """``address`` is what is opened, ``shown`` what people are told of it: a URL without its user and password."""

    kind: Kind
    address: str

    @property
    def shown(self) -> str:
        """For the page, the log and error messages."""
        if self.kind != "url":
            return f"camera {self.address}" if self.kind == "device" else self.address
        return masked(self.address)

    @property
    def lasts(self) -> bool:
        """Whether it is a file, which loses nothing when nobody looks."""
        return self.kind in ("video", "picture")


def masked(url: str) -> str:
    """A URL without user, password and query: cameras take their passwords there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def parse_source(camera: str) -> Source:
    """The source that the setting names.

    Raises:
        ConfigurationError: a URL of a kind that cannot be watched.
    """
    camera = camera.strip()
    if _DEVICE.fullmatch(camera):
        return Source("device", str(int(camera)))
    if camera.startswith(_DEVICES):
        number = camera.removeprefix(_DEVICES)
        return Source("device", str(int(number)) if _DEVICE.fullmatch(number) else camera)
    scheme, found, _ = camera.partition("://")
    if found:
        if scheme.lower() not in _SCHEMES:
            raise ConfigurationError(f"CAMERA={scheme}://... cannot be watched; use one of: {', '.join(_SCHEMES)}")
        return Source("url", camera)
    return Source("picture" if Path(camera).suffix.lower() in _PICTURES else "video", camera)
