"""A schedule over a real journal and moved clocks, which a test kills and starts again."""

from __future__ import annotations

from pathlib import Path

from pipecatapp.ports import ToolContext
from pipecatapp.schedule.entries import Ring
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.storage.part import Storage
from testing.fakes.clocks import MovedClocks
from testing.fakes.crashing_disk import ERRORS, CrashingDisk

HERE = ToolContext("kitchen", "t", words="said", speaker="person")


class ScheduledHouse:
    """One PC with its schedule.

    Args:
        at: the wall time, "2026-11-25 14:30".
        zone: of this PC.
        folder: the state folder; without it the journal lies on a disk in memory that loses what was not synced.
        seed: what the power takes with it there.
    """

    def __init__(
        self, at: str = "2026-11-25 14:30", zone: str = "Europe/Berlin", folder: Path | None = None, seed: int = 0
    ) -> None:
        self.clocks = MovedClocks(at, zone)
        self.disk = CrashingDisk(seed)
        self._folder = folder
        self.start()

    def start(self) -> None:
        """The program starts."""
        if self._folder is not None:
            self.storage = Storage(self._folder)
        else:
            self.storage = Storage(Path("/state"), connect=self.disk.connect, errors=ERRORS)
        self.keeper = Keeper(self.storage.schedule, self.clocks, ring_s=600, look_every_s=3600)
        self.service = ScheduleService(self.keeper)

    def kill(self) -> None:
        """The program ends at once, and starts again."""
        if self._folder is None:
            self.disk.restart()
        else:
            self.close()
        self.start()

    def reboot(self, off_s: float = 60.0, wall_off: float = 0.0) -> None:
        """The machine is switched off and on."""
        if self._folder is None:
            self.disk.cut_power()
        else:
            self.close()
        self.clocks.reboot(off_s, wall_off)
        self.start()

    def close(self) -> None:
        """Let go of what the program holds, as the kernel does for one that was killed."""
        self.storage.journal.close_now()

    async def run(self, seconds: float) -> list[Ring]:
        """Time passes, looked at as the program does; what began to ring meanwhile."""
        heard: dict[str, Ring] = {}
        while True:
            wait = await self.keeper.step()
            heard |= {ring.id: ring for ring in self.keeper.sounding()}
            if seconds <= 0:
                return list(heard.values())
            part = min(seconds, seconds if wait is None else max(wait, 0.001))
            self.clocks.advance(part)
            seconds -= part

    async def pass_by(self, seconds: float) -> None:
        """Time passes at once, then the program looks."""
        self.clocks.advance(seconds)
        await self.keeper.step()
