"""Preflight on real machines: what stands in the way on all of them is one list, and nothing is changed before."""

from __future__ import annotations

import pytest

from testing.lab.knocking import listen
from testing.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NODES = {"controller_nodes": ["n1", "n2", "n3"], "worker_nodes": []}
RUN = ("playbook.yaml", NODES, "--tags", "common")


def lines(output: str) -> list[str]:
    """What the run shows as reasons."""
    return [line.strip().removeprefix("| ") for line in output.splitlines() if line.strip().startswith("| ")]


def test_everything_that_is_wrong_is_one_list_and_nothing_was_changed(lab: Lab) -> None:
    lab.add("n1", "n2", "n3")
    listen(lab, "n1", [4646])
    identity = lab.run("n1", "cat", "/etc/machine-id").output
    lab.run("n2", "sh", "-c", "cat >/etc/machine-id", text=identity)
    lab.run("n3", "hostname", "n2")
    attempts = f"ip saddr {lab['n1'].address} tcp flags & (syn | ack) == syn drop"
    silent = f"table inet t {{\n chain c {{ type filter hook input priority 0; {attempts}\n }}\n }}\n"
    assert lab.run("n2", "nft", "-f", "-", text=silent).code == 0

    play = lab.play(*RUN)

    assert play.code != 0
    found = lines(play.output)
    for words in (
        "n1 cannot give port 4646: python3 listens there. The cluster needs it",
        "n1 and n2 have the same machine id",
        "n2 and n3 call themselves n2",
        f"n1 cannot reach n2 ({lab['n2'].address}): no answer",
    ):
        assert [line for line in found if line.startswith(words)], found
    assert len(found) == 4, found
    assert play.changed == 0
    assert lab.run("n2", "test", "-e", "/opt/pipecatapp").code == 1


def test_a_machine_that_is_off_stops_the_run_and_is_named(lab: Lab) -> None:
    lab["n3"].cut_off()

    play = lab.play(*RUN, env={"ANSIBLE_TIMEOUT": "5", "ANSIBLE_SSH_RETRIES": "0"})

    assert play.code != 0
    assert [line for line in lines(play.output) if line.startswith("n3 does not answer. Turn it on")]
    assert play.changed == 0
    lab["n3"].reconnect()


def test_mended_it_goes_on_and_says_what_the_machines_are(lab: Lab) -> None:
    lab.run("n1", "systemctl", "stop", "listen-4646")
    lab.run("n2", "sh", "-c", "rm /etc/machine-id; systemd-machine-id-setup; nft delete table inet t")
    lab.run("n3", "hostname", "n3")

    play = lab.play(*RUN, "--check").succeeded()

    for name in ("n1", "n2", "n3"):
        assert f"{name}: " in play.output
    assert "a write is safe after" not in play.output  # a dry run writes nothing
    assert "x86-64-v" in play.output
