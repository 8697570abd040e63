"""What a service takes and saves, and what a second of computing costs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from power_agent.account import Account
from power_agent.energy import ESTIMATED_WATTS, RAM_WATTS_PER_GB, Energy
from power_agent.errors import DriverError
from power_agent.switch import energy
from testing.fakes.power import PowerWorld

pytestmark = pytest.mark.unit

HOUR = 3600.0


class Cost:
    """Ten joules for a second of a core."""

    by_rapl = True
    joules_per_second = 10.0


def test_a_day_has_what_it_took_and_what_it_saved() -> None:
    days: dict[str, Any] = {}
    account, wall = Account(days, Cost()), time.mktime((2026, 11, 29, 8, 0, 0, 0, 0, -1))

    account.awake(0, wall, 100.0, 2 * 10**9, worked=True)
    account.awake(HOUR, wall + HOUR, 1000.0, 2 * 10**9, worked=True)
    account.awake(2 * HOUR, wall + 2 * HOUR, 1036.0, 2 * 10**9, worked=False)  # one percent of a core, for nothing
    account.asleep(3 * HOUR, wall + 3 * HOUR)
    account.asleep(4 * HOUR, wall + 4 * HOUR)

    (day,) = days.values()
    ram_wh = 2 * RAM_WATTS_PER_GB
    assert list(days) == ["2026-11-29"]
    assert (day["awake_h"], day["asleep_h"], day["cpu_s"], day["ram_gb_h"]) == (2.0, 2.0, 936.0, 4.0)
    assert (day["saved_cpu_s"], day["saved_ram_gb_h"]) == (72.0, 4.0)
    assert day["wh"] == pytest.approx(936 * 10 / HOUR + 2 * ram_wh)
    assert day["saved_wh"] == pytest.approx(72 * 10 / HOUR + 2 * ram_wh)
    assert not day["estimated"]


def test_a_process_that_began_anew_and_one_that_nobody_counts() -> None:
    days: dict[str, Any] = {}
    account = Account(days, Cost())

    account.awake(0, 0, 100.0, 10**9, worked=True)
    account.awake(10, 10, 5.0, 10**9, worked=True)
    account.awake(20, 20, None, None, worked=True)
    account.awake(30, 30, 50.0, 10**9, worked=True)
    account.elsewhere()
    account.awake(HOUR, HOUR, 90.0, 10**9, worked=True)

    (day,) = days.values()
    assert day["cpu_s"] == 5.0
    assert day["awake_h"] == pytest.approx(30 / HOUR)


def test_a_month_is_kept_and_what_is_kept_goes_on() -> None:
    days: dict[str, Any] = {"2026-01-01": {"awake_h": 1.0, "of_a_later_version": 3}}
    for day in range(40):
        account = Account(days, Cost())
        at = time.mktime((2026, 1, 1 + day, 12, 0, 0, 0, 0, -1))
        account.awake(0, at, 0.0, 0, worked=True)
        account.awake(HOUR, at, 0.0, 0, worked=True)
        if day == 0:
            assert days["2026-01-01"]["awake_h"] == 2.0

    assert len(days) == 31
    assert max(days) == "2026-02-09"


async def test_a_service_accounts_for_itself(tmp_path: Path) -> None:
    world = PowerWorld(tmp_path, takes=0.1)
    service = await world.asleep()
    await world.pass_by(service, 3600)

    (day,) = service.describe()["days"].values()

    assert day["awake_h"] == pytest.approx(600 / HOUR, abs=0.01)
    assert day["cpu_s"] == pytest.approx(60, abs=5)
    assert day["asleep_h"] == pytest.approx(1, abs=0.03)
    assert day["saved_cpu_s"] == pytest.approx(360, abs=15)
    assert day["saved_ram_gb_h"] == pytest.approx(2, abs=0.06)


async def test_a_short_sleep_counts_too(tmp_path: Path) -> None:
    world = PowerWorld(tmp_path)
    service = await world.asleep()
    world.now += 7
    service.wake()
    await world.settle_down(service)

    assert service.awake
    described = service.describe()
    (day,) = described["days"].values()
    assert day["asleep_h"] * HOUR == pytest.approx(described["slept_s"], abs=0.1)


class Counters:
    """A processor with RAPL."""

    def __init__(self, folder: Path) -> None:
        self.now, self.microjoules, self.busy_ticks = 0.0, 0, 0
        self.stat = folder / "stat"
        self.refuses = False

    def pass_by(self, seconds: float, watts: float, busy_s: float) -> None:
        self.now += seconds
        self.microjoules += int(seconds * watts * 1e6)
        self.busy_ticks += int(busy_s * 100)
        self.stat.write_text(f"cpu {self.busy_ticks} 0 0 99999 5 0 0 0 0 0\ncpu0 1\n")

    async def ask(self) -> int:
        if self.refuses:
            raise DriverError("energy: no such verb")
        return self.microjoules


async def test_rapl_says_what_computing_costs_above_doing_nothing(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    cost = Energy(counters.ask, stat=counters.stat, now=lambda: counters.now)
    counters.pass_by(1, 10, 0)
    await cost.measure()
    assert (cost.by_rapl, cost.joules_per_second) == (False, ESTIMATED_WATTS)

    counters.pass_by(60, 10, 0.2)  # it does next to nothing, at ten watts
    await cost.measure()
    assert not cost.by_rapl
    counters.pass_by(60, 22, 60)
    await cost.measure()
    assert (cost.by_rapl, cost.joules_per_second) == (True, pytest.approx(12))

    counters.microjoules = 5  # the counter began anew
    counters.pass_by(60, 0, 60)
    await cost.measure()
    counters.pass_by(60, 16, 60)
    await cost.measure()
    assert cost.joules_per_second == pytest.approx(6)


async def test_where_nobody_says_it_is_an_estimate(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    counters.refuses = True
    await Energy(counters.ask, zones=tmp_path / "none").run()  # no RAPL: nobody is asked
    (tmp_path / "intel-rapl:0").mkdir()
    cost = Energy(counters.ask, zones=tmp_path, stat=counters.stat, now=lambda: counters.now)

    await cost.run()

    assert (cost.by_rapl, cost.joules_per_second) == (False, ESTIMATED_WATTS)


def test_the_switch_reads_the_counters_of_all_packages(tmp_path: Path) -> None:
    for zone, counted in (("intel-rapl:0", "100\n"), ("intel-rapl:1", "23\n"), ("intel-rapl:0:0", "9999\n")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(counted)

    assert energy(tmp_path) == "123"
    (tmp_path / "intel-rapl:1/energy_uj").write_text("nothing")
    assert energy(tmp_path).startswith("energy: ")
