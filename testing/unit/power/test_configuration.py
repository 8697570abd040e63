"""What the agent is told: by the role, by the household; a broken entry harms itself alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from power_agent.configuration import read_configuration, read_policy
from power_agent.errors import ConfigurationError
from power_agent.records import Record, Records

pytestmark = pytest.mark.unit

GOOD = {"name": "prima-api-main", "host": "127.0.0.1", "port": 8081, "activator_port": 18081, "unit": "engine.service"}


def _configuration(*services: object) -> str:
    return json.dumps({"folder": "/f", "control": "/c", "policy": "/p", "services": services})


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"port": "8082"}, "'8082' is no port"),
        ({"port": 8081, "activator_port": 18082}, "port 8081 is prima-api-main's"),
        ({"activator_port": 18081}, "port 18081 is prima-api-main's"),
        ({"host": "localhost"}, "'localhost' does not appear to be an IPv4 or IPv6 address"),
        ({"unit": ""}, "it needs either a `unit` or a `job`"),
        ({"job": "both"}, "it needs either a `unit` or a `job`"),
        ({"idle_s": -1}, "-1 are no seconds up to a week"),
        ({"idle": 60}, "'idle' is no field"),
        ({"sources": ["10.0.0.1/8"]}, "10.0.0.1/8 has host bits set"),
    ],
)
def test_a_broken_entry_harms_itself_alone_and_is_named(entry: dict[str, object], reason: str) -> None:
    broken = GOOD | {"name": "broken", "port": 8082, "activator_port": 18082} | entry

    read = read_configuration(_configuration(GOOD, broken))

    assert [service.name for service in read.services] == ["prima-api-main"]
    assert reason in read.broken["broken"]


def test_what_is_missing_is_named() -> None:
    read = read_configuration(_configuration(GOOD, {"name": "broken"}, 7))

    assert read.broken == {"broken": "it needs either a `unit` or a `job`", "entry 3": read.broken["entry 3"]}
    with pytest.raises(ConfigurationError, match="folder"):
        read_configuration('{"services": []}')


def test_the_policy_of_the_household() -> None:
    (main,) = read_configuration(_configuration(GOOD | {"idle_s": 1800})).services
    of = {"version": 1}

    assert read_policy(json.dumps(of)).idle_of(main) == 1800
    assert read_policy(json.dumps(of | {"services": {main.name: {"idle_seconds": 60}}})).idle_of(main) == 60
    assert read_policy(json.dumps(of | {"services": {main.name: {"never": True}}})).idle_of(main) is None
    assert read_policy(json.dumps(of | {"services": {main.name: {"note": "x"}}})).idle_of(main) == 1800


@pytest.mark.parametrize("entry", [{"idle_seconds": "soon"}, {"idle_seconds": -1}, {"never": 1}, 7])
def test_a_broken_entry_of_the_policy_lets_its_service_stay_awake(entry: object) -> None:
    (main,) = read_configuration(_configuration(GOOD | {"idle_s": 1800})).services
    policy = read_policy(json.dumps({"version": 1, "services": {main.name: entry, "other": {"idle_seconds": 5}}}))

    assert policy.idle_of(main) is None
    assert list(policy.broken) == [main.name]
    assert policy.idle_s == {"other": 5}


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}', '{"version": 1, "services": 3}'])
def test_a_broken_policy_lets_everything_stay_awake(text: str) -> None:
    (main,) = read_configuration(_configuration(GOOD | {"idle_s": 1800})).services

    assert read_policy(text).idle_of(main) is None


def test_records_outlive_the_agent(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.of("a").asleep = True
    records.of("a").woke(2.5)
    records.save()

    assert Records(tmp_path).of("a") == Record(asleep=True, wakes=[2.5])
    assert not list(tmp_path.glob(".state-*"))


def test_the_history_is_kept_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for number in range(4500):
        records.note(number, "a", "asleep", "because " + "x" * 80)

    assert (tmp_path / "history.jsonl").stat().st_size < 600 * 1024
    assert [line["at"] for line in records.history(2)] == [4498, 4499]


def test_the_estimate_of_a_wake_goes_by_the_slower_ones() -> None:
    record = Record()
    assert record.estimate_s is None
    for seconds in (2, 20, 3, 18, 19):
        record.woke(seconds)

    assert record.estimate_s == 19
