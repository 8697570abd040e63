"""Pictures as JPEG: small enough for a page or a model, with or without what was found in them."""

from __future__ import annotations

from collections.abc import Sequence

from pipecatapp.vision.pictures import Picture, Thing

_QUALITY = 85
_LINE = 2
# Blue-green-red; one after the other by class.
_COLOURS = ((60, 180, 75), (48, 130, 245), (200, 130, 0), (75, 25, 230), (180, 30, 145), (0, 140, 140))


def jpeg(picture: Picture, longest: int) -> bytes:
    """The picture, its longer side at most ``longest``."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise ValueError("the picture cannot be written as JPEG")
    return bytes(data)


def annotated(picture: Picture, things: Sequence[Thing]) -> Picture:
    """A copy with a box and a name around each thing."""
    import cv2

    drawn = picture.copy()
    for thing in things:
        left, top, right, bottom = thing.box
        colour = _COLOURS[thing.kind % len(_COLOURS)]
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, _LINE)
        text = f"{thing.label} {thing.score:.0%}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        foot = max(height + below, top)
        cv2.rectangle(drawn, (left, foot - height - below), (left + width, foot), colour, cv2.FILLED)
        place = (left, foot - below)
        cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn
