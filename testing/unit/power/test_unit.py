"""A systemd unit that sleeps, and the one program that may stop and start it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from power_agent.switch import answer
from power_agent.unit import UnitDriver

pytestmark = pytest.mark.unit

UNIT = "pipecatapp-engine.service"


def _driver(shown: dict[str, str], asked: list[str] | None = None) -> UnitDriver:
    async def show(unit: str) -> dict[str, str]:
        return {"LoadState": "loaded", "Result": "success", "NRestarts": "0"} | shown

    async def switch(verb: str, unit: str) -> None:
        if asked is not None:
            asked.append(f"{verb} {unit}")

    return UnitDriver(UNIT, "127.0.0.1", 8081, switch, show)


@pytest.mark.parametrize(
    ("shown", "wanted", "running", "there"),
    [
        ({"ActiveState": "active"}, True, True, True),
        ({"ActiveState": "activating"}, True, False, True),
        ({"ActiveState": "inactive"}, False, False, True),
        ({"ActiveState": "deactivating"}, False, False, True),
        ({"ActiveState": "inactive", "LoadState": "not-found"}, False, False, False),
    ],
)
async def test_how_systemd_sees_it(shown: dict[str, str], wanted: bool, running: bool, there: bool) -> None:
    look = await _driver(shown).look()

    assert (look.wanted, look.running, look.there, look.trouble) == (wanted, running, there, "")


async def test_a_unit_that_crashes_over_and_over_is_in_trouble() -> None:
    """A binary with AVX on a Core 2: systemd starts it again and again."""
    shown = {"ActiveState": "activating", "Result": "core-dump", "NRestarts": "7"}
    driver = _driver(shown)
    await driver.wake()
    assert (await driver.look()).trouble == ""

    shown["NRestarts"] = "10"
    assert "3 times" in (await driver.look()).trouble
    shown["ActiveState"] = "failed"
    assert "failed (core-dump)" in (await driver.look()).trouble


async def test_it_is_switched_through_the_program_that_may() -> None:
    asked: list[str] = []
    driver = _driver({"ActiveState": "active"}, asked)

    await driver.sleep()
    await driver.wake()

    assert asked == [f"stop {UNIT}", f"start {UNIT}"]
    assert await driver.address() == ("127.0.0.1", 8081)


@pytest.mark.parametrize(
    "line",
    ["stop sshd.service", "restart " + UNIT, f"stop {UNIT} sshd.service", f"stop  {UNIT}", "stop", "", "stop ../x"],
)
def test_the_switch_touches_no_other_unit(line: str) -> None:
    done: list[Sequence[str]] = []

    said = answer(line, [UNIT], lambda arguments: done.append(arguments) or "")

    assert said != "done"
    assert done == []


def test_the_switch_stops_and_starts_its_unit() -> None:
    done: list[Sequence[str]] = []

    def systemctl(arguments: Sequence[str]) -> str:
        done.append(list(arguments))
        return ""

    assert answer(f"stop {UNIT}\n", [UNIT], systemctl) == "done"
    assert answer(f"start {UNIT}\n", [UNIT], systemctl) == "done"
    assert done == [["stop", UNIT], ["reset-failed", UNIT], ["start", "--no-block", UNIT]]
    assert answer(f"stop {UNIT}", [UNIT], lambda _: "it is masked") == "it is masked"
