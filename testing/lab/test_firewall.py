"""The firewall on real nodes, told in order: who gets in, what survives whom, and what is left when it goes."""

from __future__ import annotations

import functools
import json
import threading
import time

import pytest

from testing import consul
from testing.lab.knocking import knock, listen
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.provision.entered import Result

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NODES = {"controller_nodes": ["n1"], "worker_nodes": ["n2"]}
ROLES = ("--tags", "common,firewall")
HOUSE = [8300, 8301, 4647, 4648]
MEMBERS = [4646, 4222, 6222, 50052, 19000, 19200, 20000, 26000, 32000]
LOCAL = [8500]
OTHERS = [9000, 8000, 19201, 32001]
REFUSED = "Connection refused"
# A network that is not the house's; the control node stands in both.
ELSEWHERE = "192.0.2.9"


@pytest.fixture(scope="module")
def house(lab: Lab) -> Lab:
    """Two members, n1 with somebody listening at every port; the control node is a stranger in the same network."""
    lab.add("n1", "n2")
    lab.control("ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo")
    dry = lab.play("playbook.yaml", NODES, *ROLES, "--check").succeeded()
    assert dry.changed > 0
    assert "pipecatapp" not in lab.run("n1", "nft", "list", "tables").output
    lab.play("playbook.yaml", NODES, *ROLES).succeeded()
    listen(lab, "n1", HOUSE + MEMBERS + LOCAL + OTHERS)
    return lab


def from_control(lab: Lab, ports: list[int], source: str = "", address: str = "") -> dict[int, str]:
    return knock(lab.control, address or lab["n1"].address, ports, source)


def from_member(lab: Lab, ports: list[int], address: str = "") -> dict[int, str]:
    return knock(functools.partial(lab.run, "n2"), address or lab["n1"].address, ports)


def table(lab: Lab, node: str = "n1") -> Result:
    return lab.run(node, "nft", "list", "table", "inet", "pipecatapp")


def members(lab: Lab, node: str = "n1") -> set[str]:
    listed = json.loads(lab.run(node, "nft", "-j", "list", "set", "inet", "pipecatapp", "members4").output)
    return {text for item in listed["nftables"] for text in item.get("set", {}).get("elem", [])} - {"127.0.0.1"}


def everywhere(ports: list[int], answer: str) -> dict[int, str]:
    return dict.fromkeys(ports, answer)


def test_a_member_reaches_all_but_what_is_for_loopback(house: Lab) -> None:
    assert from_member(house, HOUSE + MEMBERS + OTHERS) == everywhere(HOUSE + MEMBERS + OTHERS, "open")
    assert from_member(house, LOCAL) == everywhere(LOCAL, REFUSED)


def test_a_stranger_in_the_house_gets_no_further_than_the_gossip(house: Lab) -> None:
    assert from_control(house, MEMBERS + LOCAL) == everywhere(MEMBERS + LOCAL, REFUSED)
    assert from_control(house, HOUSE + OTHERS) == everywhere(HOUSE + OTHERS, "open")


def test_a_stranger_from_elsewhere_reaches_nothing_of_the_cluster(house: Lab) -> None:
    assert from_control(house, HOUSE + MEMBERS + LOCAL, ELSEWHERE) == everywhere(HOUSE + MEMBERS + LOCAL, REFUSED)
    assert from_control(house, OTHERS, ELSEWHERE) == everywhere(OTHERS, "open")


def test_ipv6_is_no_way_around(house: Lab) -> None:
    shown = json.loads(house.run("n1", "ip", "-json", "-6", "address", "show", "dev", "eth0").output)
    link_local = shown[0]["addr_info"][0]["local"]

    assert from_control(house, HOUSE + MEMBERS, address=f"{link_local}%br0") == everywhere(HOUSE + MEMBERS, REFUSED)
    assert from_control(house, OTHERS, address=f"{link_local}%br0") == everywhere(OTHERS, "open")


def test_the_machine_itself_is_free(house: Lab) -> None:
    on_n1 = functools.partial(house.run, "n1")
    for address in ("127.0.0.1", "::1", house["n1"].address):
        ports = HOUSE + MEMBERS + LOCAL
        assert knock(on_n1, address, ports) == everywhere(ports, "open")


def test_a_port_that_docker_publishes_is_guarded_too(house: Lab) -> None:
    rule = "type nat hook prerouting priority dstnat; tcp dport 21000 fib daddr type local redirect to :9000"
    assert (
        house.run("n1", "nft", "-f", "-", text=f"table ip like_docker {{\n chain pre {{ {rule}\n }}\n }}\n").code == 0
    )

    assert from_member(house, [21000]) == {21000: "open"}
    assert from_control(house, [21000]) == {21000: REFUSED}
    house.run("n1", "nft", "delete", "table", "ip", "like_docker")


@pytest.mark.parametrize("verb", ["restart", "reload", "stop", "start"])
def test_debians_own_firewall_takes_nothing_away(house: Lab, verb: str) -> None:
    assert house.run("n1", "systemctl", verb, "nftables").code == 0

    assert from_control(house, MEMBERS) == everywhere(MEMBERS, REFUSED)
    assert from_member(house, MEMBERS) == everywhere(MEMBERS, "open")


def test_somebody_elses_flush_is_mended(house: Lab) -> None:
    house.run("n1", "nft", "flush", "ruleset")

    wait_until("the table", lambda: table(house).code == 0, 40)
    assert from_control(house, MEMBERS) == everywhere(MEMBERS, REFUSED)


def test_a_reload_leaves_no_gap_and_touches_nobody_elses_table(house: Lab) -> None:
    mine = 'table inet somebody {\n chain c { type filter hook input priority 0; counter comment "mine"\n }\n }\n'
    made = house.run("n1", "nft", "-f", "-", text=mine)
    assert made.code == 0, made.output
    answers: list[set[str]] = [set(), set()]
    done = threading.Event()

    def keep_knocking(which: int) -> None:
        while not done.is_set():
            answers[which] |= set((from_member if which else from_control)(house, [20000] * 10).values())

    threads = [threading.Thread(target=keep_knocking, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        assert house.run("n1", "systemctl", "reload", "pipecatapp-firewall").code == 0
    done.set()
    for thread in threads:
        thread.join()

    assert answers == [{REFUSED}, {"open"}]
    assert "mine" in house.run("n1", "nft", "list", "table", "inet", "somebody").output


def test_a_connection_outlives_a_reload(house: Lab) -> None:
    held = "import socket, time; s = socket.create_server(('', 20001)); c = s.accept()[0]; c.recv(1); c.sendall(b'y')"
    house.run("n1", "systemd-run", "--unit=held", "/usr/bin/python3", "-c", held)
    client = (
        "import socket, sys, time\n"
        "for _ in range(50):\n"
        "    try: c = socket.create_connection((sys.argv[1], 20001), 5); break\n"
        "    except OSError: time.sleep(0.1)\n"
        "time.sleep(3); c.sendall(b'x'); print(c.recv(1))"
    )
    process = house["n2"].popen(["/usr/bin/python3", "-c", client, house["n1"].address])
    time.sleep(1.5)
    # Not even when it is a member no longer: what began goes on.
    house.run("n1", "nft", "delete", "element", "inet", "pipecatapp", "members4", f"{{ {house['n2'].address} }}")
    output, _ = process.communicate(timeout=60)

    assert output.strip() == "b'y'"
    house.run("n1", "systemctl", "reload", "pipecatapp-firewall")


def test_the_members_follow_consul(house: Lab) -> None:
    (house["n1"].root / "opt/consul-probe").write_bytes(consul.program().read_bytes())
    (house["n1"].root / "opt/consul-probe").chmod(0o755)
    house.run("n1", "systemctl", "stop", "listen-4222")
    agent = ["/opt/consul-probe", "agent", "-server", "-bootstrap", "-data-dir=/tmp/consul-probe", "-client=127.0.0.1"]
    agent += [f"-bind={house['n1'].address}", "-node=n1", "-log-level=err"]
    assert house.run("n1", "systemd-run", "--unit=consul-probe", *agent).code == 0

    def register(node: str, address: str) -> bool:
        body = json.dumps({"Node": node, "Address": address})
        put = ["curl", "-sf", "-X", "PUT", "-d", body, "http://127.0.0.1:8500/v1/catalog/register"]
        return house.run("n1", *put).code == 0

    own, second = house["n1"].address, house["n2"].address
    moved = house.free_address()
    wait_until("a leader", lambda: register("n2", moved))
    wait_until("the new address", lambda: members(house) == {own, moved}, 30)
    for evil in ("8.8.8.8", "0.0.0.0/0", "10.0.0.1 }; flush ruleset", house.network.subnet.network_address.exploded):
        assert register("evil", evil)
    assert register("n5", second)
    wait_until("one more", lambda: members(house) == {own, moved, second}, 30)

    # Gone, it leaves them as they are, over a boot as well.
    house.run("n1", "systemctl", "stop", "consul-probe")
    house["n1"].reboot()
    assert members(house) == {own, moved, second}
    order = house.run("n1", "systemctl", "show", "--value", "--property=ActiveEnterTimestampMonotonic",
                      "pipecatapp-firewall", "systemd-networkd", "ssh").output.split()  # fmt: skip
    assert int(order[0]) <= int(order[-1])


def test_a_second_run_changes_nothing(house: Lab) -> None:
    assert house.play("playbook.yaml", NODES, *ROLES).succeeded().changed == 0


def test_uninstall_takes_its_table_and_nothing_else(house: Lab) -> None:
    assert house.run("n1", "nft", "add", "table", "inet", "somebody").code == 0

    house.play("ansible/uninstall.yaml", NODES, "--extra-vars", "@group_vars/all.yaml").succeeded()

    assert house.run("n1", "nft", "list", "tables").output.split() == ["table", "inet", "somebody"]
    left = house.run("n1", "sh", "-c", "ls -d /etc/systemd/system/*pipecatapp* /var/lib/pipecatapp* /etc/pipecatapp*")
    assert [line for line in left.output.splitlines() if "cannot access" not in line] == []
