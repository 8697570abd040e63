"""How the house is, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipecatapp.cli.cluster import describe
from pipecatapp.cli.main import main
from pipecatapp.cluster.house import House, Pc, Role
from pipecatapp.cluster.overview import Overview
from pipecatapp.cluster.roster import Member

pytestmark = pytest.mark.unit


def house(*roles: Role, keep: Sequence[bool | None] = ()) -> Overview:
    seen = zip(roles, keep or [True] * len(roles), strict=True)
    return Overview(
        Member("n1", "", True),
        House([Pc(f"n{n}", f"10.0.0.{n}", role, keeps) for n, (role, keeps) in enumerate(seen, 1)]),
    )


@pytest.mark.parametrize(
    ("seen", "last"),
    [
        (house("active", "standby", "none"), "The house goes on when any one of these PCs dies."),
        (house("active", "none", "none", keep=(True, False, True)), "Another PC must not be lost now"),
        (house("active", "standby", "none", keep=(True, True, False)), "Another PC must not be lost now"),
        (house("cut_off", "none", "none", keep=(True, False, False)), "not saved: only 1 of 3 PCs"),
        (house("standby", "standby", "none"), "not saved: no agent answers yet"),
    ],
)
def test_the_last_line_says_whether_it_is_saved_and_what_may_be_lost(seen: Overview, last: str) -> None:
    assert last in describe(seen)[-1]


def test_each_pc_has_a_line_that_needs_no_explanation() -> None:
    said = describe(house("active", "standby", "none", keep=(True, True, False)))
    assert said[:3] == [
        "n1  answers; keeps the memory",
        "n2  stands by, and goes on when n1 is gone; keeps the memory",
        "n3  is away",
    ]
    cut = describe(house("cut_off", "none", keep=(None, True)))
    assert cut[:2] == ["n1  is cut off from the others: it talks, and cannot save", "n2  keeps the memory"]


def test_one_pc_says_that_it_stands_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPECATAPP_CONFIG", f"{tmp_path}/none.env")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    assert main(["cluster", "status"]) == 0
    assert "stands alone" in capsys.readouterr().out
    assert main(["cluster", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["alone"], told["saves"], len(told["pcs"])) == (True, True, 1)
