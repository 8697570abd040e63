"""initial-setup/setup.sh on real PCs, in order for each manager of the network: an address changes, and comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.setup_pc import MANAGERS, PROGRAM, STATE, House, Pc, house

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def home(lab: Lab) -> House:
    return house(lab)


@pytest.fixture(scope="module", params=MANAGERS)
def pc(request: pytest.FixtureRequest, home: House) -> Iterator[Pc]:
    made = home.pc(request.param)
    yield made
    made.node.power_cut()


def over_ssh(pc: Pc, command: str) -> subprocess.Popen[str]:
    """Start a command on the PC as its user, in a session of ssh to the address that it has now."""
    lab = pc.house.lab
    pool = str(lab.network.subnet.network_address).rsplit(".", 1)[0]
    address = next(word for word in pc.addresses.split() if word.startswith(f"{pool}.")).partition("/")[0]
    pc.node.address = address
    ssh = ["ssh", *lab._ssh_options(pc.node.name), f"deploy@{address}", command]
    return subprocess.Popen(
        lab.network.inside(*ssh), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_dry_run_shows_all_and_changes_nothing(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.free)
    before = pc.do("find /etc /var/lib /home -newer /proc/1/cmdline -type f | sort").output

    shown = pc.setup("--dry-run")

    assert shown.code == 0, shown.output
    assert f"give eth0 the address {pc.free}/24" in shown.output
    assert f"({pc.manager})" in shown.output
    assert pc.has_dhcp
    after = pc.do("find /etc /var/lib /home -newer /proc/1/cmdline -type f | sort").output
    assert {line for line in after.split() if "pipecatapp" in line} == set()
    assert before.split()


def test_an_address_of_another_machine_is_refused(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.house.router.address, CONTROL_NODE_IP="")

    refused = pc.setup("--yes")

    assert refused.code == 2
    assert "belongs to another machine already" in refused.output


def test_without_an_address_the_network_stays(pc: Pc) -> None:
    pc.write(NETMASK="", GATEWAY="", CONTROL_NODE_IP="")

    done = pc.setup("--yes")

    assert done.code == 0, done.output
    assert "Its address stays as it is." in done.output
    assert pc.do("hostname").output.strip() == "node2"
    assert pc.has_dhcp
    assert "Nothing to do" in pc.setup("--yes").output


def test_a_key_is_let_in_after_a_yes_to_its_fingerprint(pc: Pc) -> None:
    lab = pc.house.lab
    public = lab.path / "key.pub"
    printed = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    (pc.node.root / "root/key.pub").write_text(public.read_text())
    pc.do("rm ~deploy/.ssh/authorized_keys")

    unasked = pc.setup("--yes", "--key", "/root/key.pub")
    other = pc.setup("--yes", "--key", "/root/key.pub", "--fingerprint", "SHA256:" + "A" * 43)
    right = pc.setup("--yes", "--key", "/root/key.pub", "--fingerprint", printed.split()[1])

    assert (unasked.code, other.code, right.code) == (1, 1, 0), right.output
    assert "--yes does not say that the key is the right one" in unasked.output
    session = over_ssh(pc, "echo in")
    assert session.communicate(timeout=60)[0] == "in\n"
    assert pc.do("stat -c '%U %a' ~deploy/.ssh/authorized_keys").output.split() == ["deploy", "600"]
    assert "Nothing to do" in pc.setup("--yes", "--key", "/root/key.pub").output
    assert "fingerprint SHA256:" in right.output


def test_a_gateway_that_does_not_answer_brings_the_old_address_back(pc: Pc) -> None:
    gateway = pc.house.lab.network.gateway.rsplit(".", 1)[0] + ".99"
    pc.write(STATIC_IP=pc.free, GATEWAY=gateway)

    done = pc.setup("--yes")

    assert done.code == 1, done.output
    assert f"taken back: the gateway {gateway} does not answer" in done.output
    wait_until("the old address", pc.as_before, 60)


def test_what_nobody_confirms_from_a_new_connection_is_taken_back(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.free)

    session = over_ssh(pc, f"sudo bash {PROGRAM} --yes --confirm-within 30")
    try:
        wait_until("the new address", lambda: f" {pc.free}/" in pc.addresses, 60)
        wait_until("the old address", pc.as_before, 90)
    finally:
        session.kill()
        output, _ = session.communicate()
        print(output)

    assert "Within 30 seconds log in at the new address" in output
    assert pc.outcome().startswith("taken back")


def test_a_kill_of_the_script_changes_nothing_of_that(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.free)

    session = over_ssh(pc, f"sudo bash {PROGRAM} --yes --confirm-within 30")
    wait_until("the new settings", lambda: pc.do(f"test -e {STATE}/unconfirmed").code == 0, 60)
    pc.do("pkill -9 -f setup.sh; systemctl kill --signal=KILL 'pipecatapp-setup-apply-*'")
    session.kill()
    session.communicate()

    wait_until("the old address", pc.as_before, 90)


def test_a_power_cut_before_the_yes_boots_with_the_old_address(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.free)

    session = over_ssh(pc, f"sudo bash {PROGRAM} --yes --confirm-within 600")
    wait_until("the new address", lambda: f" {pc.free}/" in pc.addresses, 60)
    session.kill()
    session.communicate()
    pc.boot()

    wait_until("the old address", pc.as_before, 90)
    assert pc.outcome().startswith("taken back")


def test_a_change_that_is_confirmed_from_a_new_connection_is_kept(pc: Pc) -> None:
    pc.write(STATIC_IP=pc.free)

    session = over_ssh(pc, f"sudo bash {PROGRAM} --yes --confirm-within 60")
    wait_until("the new address", lambda: pc.outcome() == "applied", 60)
    session.kill()
    session.communicate()
    second = over_ssh(pc, f"sudo bash {PROGRAM} --yes; sudo bash {STATE}/program/setup.sh --confirm")
    output, _ = second.communicate(timeout=60)

    assert "waits for a yes" in output
    assert f"Kept: eth0 has {pc.free}" in output, output
    assert pc.outcome() == "kept"
    assert pc.has_ipv6
    assert not pc.has_dhcp
    assert pc.do("ls /etc/systemd/system | grep -c pipecatapp").output.strip() == "0"


def test_a_second_run_has_nothing_to_do(pc: Pc) -> None:
    done = pc.setup("--yes")

    assert done.code == 0
    assert "Nothing to do" in done.output, done.output


def test_the_address_survives_a_boot(pc: Pc) -> None:
    pc.boot()

    wait_until("both addresses", lambda: f" {pc.free}/" in pc.addresses and pc.has_ipv6, 60)


def test_undo_brings_the_files_and_the_address_back(pc: Pc) -> None:
    done = pc.setup("--undo", "--yes")

    assert done.code == 0, done.output
    wait_until("the old address", pc.as_before, 60)
    # The run before that let a key in, and the first one gave the name.
    assert pc.setup("--undo", "--yes").code == 0
    assert pc.do("cat ~deploy/.ssh/authorized_keys").output == ""
    assert pc.setup("--undo", "--yes").code == 0
    assert pc.do("cat /etc/hostname").output.strip() == pc.node.name
    assert "Nothing to undo" in pc.setup("--undo", "--yes").output


def test_a_client_of_dhcp_lives_on(pc: Pc) -> None:
    if pc.manager == "ifupdown":
        assert "dhclient" in pc.do("pgrep -a dhclient").output
    assert pc.do(f"flock --nonblock {STATE}/lock true").code == 0
