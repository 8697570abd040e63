"""The unit's parts that touch no other program."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from node_admin.admin import fingerprint
from node_admin.errors import RefusedError
from node_admin.inventory import Inventory, main
from node_admin.requests import NewNode, Request, check_new_node, parse
from node_admin.state import State
from node_admin.wake import magic_packet

pytestmark = pytest.mark.unit

YES = "0123456789abcdef"
NODE = NewNode("10.0.0.9", "SHA256:x", "deploy", "")


def person_writes(folder: Path, *workers: str) -> None:
    """What a run of playbook.yaml leaves: one controller and these workers."""
    machines = {
        "controller_nodes": {"n1": {"ansible_host": "10.0.0.1"}},
        "worker_nodes": {name: {"ansible_host": f"10.0.2.{name[1:]}"} for name in workers},
    }
    (folder / "machines.json").write_text(json.dumps(machines))


def inventory(folder: Path, *workers: str) -> Inventory:
    person_writes(folder, *workers)
    return Inventory(folder, clock=lambda: 0.0)


def for_ansible(machines: Inventory) -> dict[str, list[str]]:
    """The names by group in what Ansible reads."""
    groups = json.loads(machines.write().read_text())["all"]["children"]
    return {group: sorted(found["hosts"]) for group, found in groups.items()}


def test_a_request_is_read() -> None:
    line = json.dumps({"verb": "remove", "node": "n2", "approval": YES}).encode()

    assert parse(line) == Request("remove", "n2", YES)


def test_a_worker_is_added_once_and_dropped(tmp_path: Path) -> None:
    machines = inventory(tmp_path)

    machines.add("n9", NODE)
    machines.add("n9", NODE)

    assert machines.host("n9") == {"ansible_host": "10.0.0.9", "ansible_user": "deploy", "host_key": "SHA256:x"}
    assert for_ansible(machines) == {"controller_nodes": ["n1"], "worker_nodes": ["n9"]}
    machines.drop("n9")
    assert machines.host("n9") is None
    assert for_ansible(machines) == {"controller_nodes": ["n1"], "worker_nodes": []}
    assert machines.host("n1") == {"ansible_host": "10.0.0.1"}


def test_a_run_of_a_person_loses_no_join_and_a_join_no_edit_of_a_person(tmp_path: Path) -> None:
    machines = inventory(tmp_path, "n2")
    machines.add("n9", NODE)

    person_writes(tmp_path, "n4")
    assert for_ansible(machines)["worker_nodes"] == ["n4", "n9"]
    # The person takes the joined machine into the inventory, as it is reached from now on.
    person_writes(tmp_path, "n4", "n9")
    assert machines.host("n9") == {"ansible_host": "10.0.2.9", "ansible_user": "deploy", "host_key": "SHA256:x"}


def test_what_was_removed_is_known_until_it_is_welcome_again(tmp_path: Path) -> None:
    machines = inventory(tmp_path, "n2", "n3")

    machines.drop("n2")
    machines.drop("n3")

    assert for_ansible(machines)["worker_nodes"] == []
    assert json.loads((tmp_path / "joined.json").read_text())["removed"] == {"n2": "1970-01-01", "n3": "1970-01-01"}
    machines.add("n2", NODE)
    assert main([str(tmp_path), "welcome", "n3"]) == 0
    assert json.loads((tmp_path / "joined.json").read_text())["removed"] == {}
    assert main([str(tmp_path), "drop", "../n2"]) == 1


@pytest.mark.parametrize(
    ("name", "address", "reason"),
    [
        ("n9", "10.0.0.1", "is n1's address"),
        ("n1", "10.0.0.9", "is another machine already"),
        ("n1", "10.0.0.1", "is a controller already"),
    ],
)
def test_a_name_and_an_address_belong_to_one_machine(tmp_path: Path, name: str, address: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        inventory(tmp_path).add(name, NewNode(address, "SHA256:x", "deploy", ""))


def test_some_backups_are_kept(tmp_path: Path) -> None:
    machines = inventory(tmp_path)

    for number in range(50):
        machines.add(f"w{number}", NewNode(f"10.0.1.{number}", "SHA256:x", "deploy", ""))

    names = sorted(path.name for path in (tmp_path / "backups").iterdir())
    assert len(names) == 20
    assert names[-1] == "000049.json"


@pytest.mark.parametrize("name", ["machines.json", "joined.json"])
@pytest.mark.parametrize("text", ["", "[]", "{", '{"all": {}}', '{"joined": [], "removed": {}}'])
def test_a_damaged_file_is_told_and_not_written_over(tmp_path: Path, name: str, text: str) -> None:
    machines = inventory(tmp_path)
    (tmp_path / name).write_text(text)

    with pytest.raises(RefusedError):
        machines.add("n9", NODE)
    assert (tmp_path / name).read_text() == text


def test_an_approval_is_used_once_also_after_a_restart(tmp_path: Path) -> None:
    State(tmp_path).use(YES)

    with pytest.raises(RefusedError, match="used before"):
        State(tmp_path).use(YES)


def test_the_list_of_used_approvals_does_not_grow_for_ever(tmp_path: Path) -> None:
    (tmp_path / "used").write_text("".join(f"{number:016x}\n" for number in range(20_005)))

    State(tmp_path).use("f" * 16)

    lines = (tmp_path / "used").read_text().split()
    assert len(lines) == 10_001
    assert lines[-1] == "f" * 16


def test_what_was_cut_off_is_said_once(tmp_path: Path) -> None:
    State(tmp_path).begin(Request("join", "n9", YES))

    assert "join n9 was cut off" in State(tmp_path).after_a_kill()
    assert State(tmp_path).after_a_kill() == ""


def test_an_address_is_of_the_house() -> None:
    agreed = {"node": "n9", "address": "10.0.0.9", "host_key": "SHA256:" + "A" * 43}
    house = [ipaddress.IPv4Network("10.0.0.0/24")]

    assert check_new_node(agreed, house).address == "10.0.0.9"
    with pytest.raises(RefusedError, match="not an address of this house"):
        check_new_node(agreed, [])


def test_the_packet_names_the_card_sixteen_times() -> None:
    assert magic_packet("00:11:22:33:44:ff") == b"\xff" * 6 + bytes.fromhex("0011223344ff") * 16


def test_what_is_no_key_has_no_fingerprint() -> None:
    assert fingerprint("no key!") == ""
