"""Who gets a connection when there are many, and whose ends."""

from __future__ import annotations

import ipaddress

import pytest

from pipecatapp.web.connections import Connection, ConnectionTable, Limits, network_of

pytestmark = pytest.mark.unit


class Crowd:
    """Connections by the address that they come from, and which of them were ended."""

    def __init__(self, limits: Limits, *, proxies: tuple[str, ...] = ()) -> None:
        self.table = ConnectionTable(limits, [ipaddress.ip_network(proxy) for proxy in proxies])
        self.ended: list[str] = []

    def come(self, address: str, name: str = "") -> Connection:
        name = name or address
        return self.table.open(address, lambda: self.ended.append(name))


SMALL = Limits(strangers=6, strangers_per_network=3, people=2, programs=1)


def test_the_newest_of_an_address_takes_the_place_of_its_oldest() -> None:
    crowd = Crowd(SMALL)
    crowd.come("10.0.0.9", "a neighbour")
    for name in ("first", "second", "third", "fourth", "fifth"):
        crowd.come("10.0.0.5", name)

    assert crowd.ended == ["first", "second"]
    assert len(crowd.table) == 4


def test_where_all_room_is_taken_the_most_crowded_address_gives_way() -> None:
    crowd = Crowd(SMALL)
    crowd.come("10.0.0.1", "the oldest of all")
    for number in range(3):
        crowd.come("10.0.0.5", f"five {number}")
    for number in range(2):
        crowd.come("10.0.0.6", f"six {number}")

    crowd.come("10.0.0.7")

    assert crowd.ended == ["five 0"]


def test_who_was_admitted_is_never_ended_and_takes_no_room_from_strangers() -> None:
    crowd = Crowd(SMALL)
    crowd.come("10.0.0.5", "the page").admit("person")
    for number in range(20):
        crowd.come("10.0.0.5", f"knock {number}")

    assert "the page" not in crowd.ended
    assert len(crowd.ended) == 17
    assert len(crowd.table) == 4


def test_more_people_than_there_is_room_for_stay_strangers() -> None:
    crowd = Crowd(SMALL)
    people = [crowd.come("10.0.0.5") for _ in range(3)]
    for person in people:
        person.admit("person")
    program = crowd.come("10.0.0.5")
    program.admit("program")

    assert [connection.guest for connection in people] == ["person", "person", "stranger"]
    assert program.guest == "program"


def test_an_end_gives_the_room_back_once() -> None:
    crowd = Crowd(SMALL)
    connections = [crowd.come("10.0.0.5") for _ in range(3)]
    connections[0].admit("person")
    for connection in connections:
        connection.release()
        connection.release()

    assert len(crowd.table) == 0
    crowd.table.shed()
    assert crowd.ended == []


def test_admitting_a_connection_that_has_ended_brings_it_not_back() -> None:
    crowd = Crowd(SMALL)
    gone = crowd.come("10.0.0.5")
    gone.release()
    gone.admit("person")

    assert len(crowd.table) == 0


def test_a_proxy_has_the_room_of_all_strangers() -> None:
    crowd = Crowd(SMALL, proxies=("10.0.0.0/30",))
    for number in range(5):
        crowd.come("10.0.0.2", f"guest {number}")

    assert crowd.ended == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("::ffff:10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.6", False),
        ("local", "local", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_the_default_limits_leave_descriptors_for_the_rest_of_the_program() -> None:
    limits = Limits()
    assert limits.strangers + limits.people + limits.programs <= 512
