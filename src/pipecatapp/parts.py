"""What the program is put together from: the parts, which start and stop in order."""

from __future__ import annotations

from collections.abc import Mapping

from pipecatapp.ports import HealthSource


class Part:
    """One piece of a node. ``create`` in the ``part.py`` of a package makes it; nothing runs before ``start``.

    A subclass writes down only what it does: without more, a part has nothing to start, to stop or to report.
    """

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """What ``/health`` reports of it, by the name of the component."""
        return {}

    async def start(self) -> None:
        """Begin and return at once; what takes long goes on in the background.

        Raises:
            ConfigurationError: the settings cannot be carried out; the program then ends.
        """

    async def stop(self) -> None:
        """End, and leave nothing running: before what it is built on stops, and also after a ``start`` that failed."""
