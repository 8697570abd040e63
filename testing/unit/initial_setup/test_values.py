"""setup.conf is data: every mistake in it is told at once, with its line and what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testing.unit.initial_setup.scripts import FOLDER, checked, function, read

pytestmark = pytest.mark.unit

GOOD = """\
HOSTNAME=node2
STATIC_IP=192.168.1.20
NETMASK=255.255.255.0
GATEWAY=192.168.1.1
INTERFACE=enp1s0
USERNAME=deploy
CONTROL_NODE_IP=192.168.1.10
"""


def with_value(key: str, value: str) -> str:
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key}=")]
    return "\n".join([*lines, f"{key}={value}", ""])


def test_good_values_pass(tmp_path: Path) -> None:
    assert checked(tmp_path, GOOD) == (0, [])


def test_an_address_is_not_needed(tmp_path: Path) -> None:
    assert checked(tmp_path, "HOSTNAME=node2\nUSERNAME=deploy\nSTATIC_IP=\n") == (0, [])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("HOSTNAME", "", "is empty"),
        ("HOSTNAME", "Node_2", "is no name for a machine"),
        ("HOSTNAME", "-node", "is no name for a machine"),
        ("HOSTNAME", "n" * 64, "is no name for a machine"),
        ("HOSTNAME", "a.b", "is no name for a machine"),
        ("HOSTNAME", "12", "is no name for a machine"),
        ("HOSTNAME", "localhost", "every machine's own name"),
        ("HOSTNAME", "$(touch PWNED)", "is no name for a machine"),
        ("STATIC_IP", "192.168.1", "is no address for a machine"),
        ("STATIC_IP", "192.168.1.256", "is no address for a machine"),
        ("STATIC_IP", "192.168.01.20", "is no address for a machine"),
        ("STATIC_IP", "127.0.0.1", "is no address for a machine"),
        ("STATIC_IP", "169.254.3.4", "is no address for a machine"),
        ("STATIC_IP", "224.0.0.1", "is no address for a machine"),
        ("STATIC_IP", "192.168.1.0", "is the address of the whole network"),
        ("STATIC_IP", "192.168.1.255", "is the address of the whole network"),
        ("STATIC_IP", "192.168.1.20/24", "is no address for a machine"),
        ("NETMASK", "255.0.255.0", "is no netmask"),
        ("NETMASK", "0.0.0.0", "is no netmask"),
        ("NETMASK", "255.255.255.255", "is no netmask"),
        ("NETMASK", "33", "is no netmask"),
        ("NETMASK", "", "is no netmask"),
        ("GATEWAY", "192.168.2.1", "is not in the network of STATIC_IP"),
        ("GATEWAY", "192.168.1.20", "is STATIC_IP itself"),
        ("GATEWAY", "192.168.1.255", "is the address of the whole network"),
        ("GATEWAY", "router", "is no address"),
        ("DNS", "192.168.1.1,dns.example", "'dns.example' is no address"),
        ("INTERFACE", "../../etc", "is no name of a network card"),
        ("INTERFACE", "a" * 16, "is no name of a network card"),
        ("USERNAME", "root", "should not log in over the network"),
        ("USERNAME", "Deploy", "is no account name"),
        ("USERNAME", "-R /", "is no account name"),
        ("CONTROL_NODE_IP", "fe80::1::2", "is no address of a machine"),
        ("CONTROL_NODE_IP", "0.0.0.0", "is no address of a machine"),
        ("CONTROL_NODE_IP", "::1", "is no address of a machine"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, key: str, value: str, reason: str) -> None:
    code, errors = checked(tmp_path, with_value(key, value))

    assert code == 2
    assert len(errors) == 1, errors
    assert f"setup.conf:{7 if f'{key}=' in GOOD else 8}: {key}" in errors[0]
    assert reason in errors[0]
    assert errors[0].count(". ") >= 1  # what to do


@pytest.mark.parametrize("value", ["24", "/24", "255.255.255.0"])
def test_a_netmask_may_be_a_length(tmp_path: Path, value: str) -> None:
    assert checked(tmp_path, with_value("NETMASK", value)) == (0, [])


@pytest.mark.parametrize("value", ["fd00::10", "2001:db8:0:0:0:0:0:1", "::ffff:1", "192.168.1.20"])
def test_the_control_node_may_have_either_kind_of_address(tmp_path: Path, value: str) -> None:
    assert checked(tmp_path, with_value("CONTROL_NODE_IP", value)) == (0, [])


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    code, errors = checked(
        tmp_path, "HOSTNAME=x!\nNONSENSE=1\nexport A=b\nHOSTNAME=twice\nSTATIC_IP=1.2.3\nNETMASK=9.9.9.9\nGATEWAY=\n"
    )

    assert code == 2
    assert [error.split(" ")[0] for error in errors] == [
        *("setup.conf:2:", "setup.conf:3:", "setup.conf:4:", "setup.conf:1:", "setup.conf:"),
        *("setup.conf:5:", "setup.conf:6:", "setup.conf:7:"),
    ]
    assert "there is no setting NONSENSE" in errors[0]
    assert "stands in line 1 already" in errors[2]


def test_a_setting_of_the_address_without_an_address_is_a_mistake(tmp_path: Path) -> None:
    code, errors = checked(tmp_path, "HOSTNAME=n\nUSERNAME=deploy\nGATEWAY=192.168.1.1\n")

    assert code == 2
    assert "STATIC_IP is empty" in errors[0]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('HOSTNAME="node2"', "node2"),
        ("HOSTNAME='node2'  # the second", "node2"),
        ("  HOSTNAME=node2 # the second", "node2"),
        ("HOSTNAME=  node2  ", "node2"),
        ("HOSTNAME=node2\r", "node2"),
        ("\ufeffHOSTNAME=node2", "node2"),
        ("HOSTNAME=# nothing yet", ""),
        ("HOSTNAME=`id`", "`id`"),
        ("HOSTNAME=a\0b", "ab"),
    ],
)
def test_a_line_is_read_as_people_write_it(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, line.encode(), "HOSTNAME") == value


def test_nothing_in_the_file_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"HOSTNAME=$(touch {trap})\nUSERNAME=`touch {trap}`\n[[ $(touch {trap}) ]]\nINTERFACE=a[$(touch {trap})]\n"
    text += f"CONF[$(touch {trap})]=x\nSTATIC_IP=a[$(touch {trap})]\nNETMASK=x[$(touch {trap})]\n"

    code, errors = checked(tmp_path, text)

    assert code == 2
    assert len(errors) >= 6
    assert not trap.exists()


def test_a_name_of_the_shell_is_no_value() -> None:
    text = (FOLDER / "setup.conf").read_text()

    assert "HOSTNAME=\n" in text  # bash's own would be found if the file were sourced
    done = function(f"read_config {FOLDER}/setup.conf\ncheck_values\nreport_errors")
    assert "HOSTNAME is empty" in done.stderr


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    _, errors = checked(tmp_path, with_value("HOSTNAME", "\x1b[2Jnode"))

    assert "\x1b" not in "".join(errors)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(FOLDER / "setup.sh"), "--config", str(tmp_path / "no.conf"), "--dry-run"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "no.conf cannot be read" in done.stderr


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "setup.conf").write_bytes(b"#" * 70000)

    done = function(f"read_config {tmp_path}/setup.conf\nreport_errors")

    assert "larger than 64 KiB" in done.stderr


def test_help_is_for_everybody() -> None:
    done = subprocess.run(["bash", str(FOLDER / "setup.sh"), "--help"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert "--dry-run" in done.stdout


def test_an_unknown_option_is_refused() -> None:
    done = subprocess.run(["bash", str(FOLDER / "setup.sh"), "--force"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "There is no option '--force'" in done.stderr
