"""What is told of the house: by Consul, by Nomad, by its PCs, and by nobody."""

from __future__ import annotations

import pytest

from pipecatapp.cluster.house import House, Pc
from pipecatapp.cluster.overview import Overview, Watch
from pipecatapp.cluster.roster import Job, Member, Room, RosterReader, Service
from pipecatapp.cluster.words import of_job, of_service
from testing.fakes.cluster_api import ScriptedCluster

pytestmark = pytest.mark.unit

GB = 1024**3
OWN = Member("n1", "", True, Room(GB, 4 * GB), Room(GB, 9 * GB))
HOUSE = House(
    [
        Pc("n1", "10.0.0.1", "active", True),
        Pc("n2", "10.0.0.2", "standby", True),
        Pc("n3", "10.0.0.3", "none", True),
    ]
)


def reader(cluster: ScriptedCluster) -> RosterReader:
    return RosterReader("http://consul:8500", "http://nomad:4646", consul_token="c", nomad_token="n", transport=cluster)


async def test_consul_and_nomad_together_know_the_pcs() -> None:
    cluster = ScriptedCluster(away={"n3"}, jobs={"pipecat-app": (1, 1, 0), "old": (0, 0, 0)}, stopped={"old"})
    roster = await reader(cluster).read()
    assert roster.members == [
        Member("n1", "10.0.0.1", True, Room(6 * GB, 8 * GB), Room(96 * GB, 100 * GB)),
        Member("n2", "10.0.0.2", True),
        Member("n3", "10.0.0.3", False),
    ]
    assert roster.jobs == [Job("pipecat-app", 1, 1, 0)]
    assert roster.services == [Service("pipecat-app", 2), Service("prima-api-coding", 0, ("n3",))]
    assert (roster.leader, roster.unknown, cluster.asked) == ("n1", [], {"c", "n"})


async def test_what_cannot_be_asked_is_named_and_the_rest_is_told() -> None:
    roster = await reader(ScriptedCluster(silent={"consul"}, refused={"nomad"})).read()
    assert list(roster.unknown) == [
        "Consul cannot be asked: it does not answer",
        "Nomad cannot be asked: it answers 403: Permission denied",
    ]
    without_consul = await reader(ScriptedCluster(silent={"consul"})).read()
    assert [member.name for member in without_consul.members] == ["n1", "n2", "n3"]
    told = Overview(OWN, HOUSE, without_consul).as_json()
    assert told["healing"] == []
    assert told["pcs"][0]["disk"] == {"used": 96 * GB, "total": 100 * GB}


async def test_what_heals_is_said() -> None:
    cluster = ScriptedCluster(
        away={"n3"}, leader="", ill={("pipecat-app", "n2")}, jobs={"pipecat-app": (1, 1, 0), "tool-server": (0, 0, 1)}
    )
    house = House([HOUSE.pcs[0], Pc("n2", "10.0.0.2", "standby", False), Pc("n3", "10.0.0.3", "none", False)])
    assert Overview(OWN, house, await reader(cluster).read()).as_json()["healing"] == [
        "n2 keeps no memory now. It catches up by itself when that goes on.",
        "n3 is away. What ran there starts elsewhere; switch it on when you can.",
        "The PCs agree on which one decides what runs where. That takes seconds.",
        "The assistant: 1 runs, 1 starts.",
        "Tools: 1 waits for a PC with room.",
        "The assistant does not answer on n2. If that stays so: docs/operations/troubleshooting.md.",
    ]


async def test_a_pc_stands_there_once_with_all_that_is_known_of_it() -> None:
    told = Overview(OWN, HOUSE, await reader(ScriptedCluster()).read()).as_json()
    assert [(pc["name"], pc["says"]) for pc in told["pcs"]] == [
        ("n1", "answers; keeps the memory; decides what runs where"),
        ("n2", "stands by, and goes on when n1 is gone; keeps the memory"),
        ("n3", "keeps the memory"),
    ]
    assert (told["alone"], told["saves"], told["copies"], told["healing"]) == (False, True, "several", [])


async def test_one_pc_alone_and_a_cluster_with_one_copy() -> None:
    alone = Overview(OWN).as_json()
    assert (alone["alone"], alone["saves"], alone["copies"]) == (True, True, "one")
    assert "stands alone" in alone["says"]
    assert [(pc["name"], pc["says"], pc["memory"]) for pc in alone["pcs"]] == [
        ("n1", "is there", {"used": GB, "total": 4 * GB})
    ]
    cluster = Overview(OWN, None, await reader(ScriptedCluster()).read()).as_json()
    assert (cluster["alone"], len(cluster["pcs"])) == (False, 3)
    assert "one copy" in cluster["says"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (of_job(Job("j", 2, 0, 0)), "runs on 2 places"),
        (of_job(Job("j", 0, 2, 2)), "2 start, 2 wait for a PC with room"),
        (of_job(Job("j", 0, 0, 0)), "does not run now"),
        (of_service(Service("s", 1)), "well"),
        (of_service(Service("s", 2)), "well, 2 of it"),
        (of_service(Service("s", 1, ("n2", "n3"))), "1 well, not well on n2 and n3"),
        (of_service(Service("s", 0, ("n2",))), "not well on n2"),
    ],
)
def test_words(said: str, words: str) -> None:
    assert said == words


async def test_pages_that_look_at_once_are_told_the_same_and_later_anew() -> None:
    now, asked = [0.0], []

    async def house() -> House:
        asked.append(now[0])
        return HOUSE

    watch = Watch(lambda: OWN, house, clock=lambda: now[0])
    first = await watch.look()
    assert await watch.look() is first
    now[0] = 3.0
    assert await watch.look() is not first
    assert asked == [0.0, 3.0]
