"""Docker on a real node, told in order: it comes by the role, its published ports are guarded, and it goes."""

from __future__ import annotations

import functools
import json

import pytest

from testing.lab.knocking import knock
from testing.lab.lab import Lab
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NODES = {"controller_nodes": ["n1"], "worker_nodes": ["n2"]}
# A node's disk is layered already, and Docker cannot layer upon it.
SETTINGS = {"storage-driver": "vfs"}
WITH_DOCKER = ("--tags", "common,docker,firewall", "--extra-vars", "docker_enabled=true")
REFUSED = "Connection refused"


@pytest.fixture(scope="module")
def house(lab: Lab) -> Lab:
    """A member with Docker, one without."""
    lab.add("n1", "n2")
    dry = lab.play("playbook.yaml", NODES, *WITH_DOCKER, "--check").succeeded()
    assert dry.changed > 0
    for node in lab:
        (node.root / "etc/docker").mkdir()
        (node.root / "etc/docker/daemon.json").write_text(json.dumps(SETTINGS))
    lab.play("playbook.yaml", NODES, *WITH_DOCKER, "--limit", "n1").succeeded()
    lab.play("playbook.yaml", NODES, "--tags", "common,docker,firewall").succeeded()
    return lab


def docker(lab: Lab, *words: str) -> str:
    result = lab.run("n1", "docker", *words)
    assert result.code == 0, result.output
    return result.output


def test_it_is_there_where_it_was_wanted_alone(house: Lab) -> None:
    assert "vfs" in docker(house, "info", "--format", "{{.Driver}}")
    assert house.run("n2", "which", "docker").code != 0


def test_a_second_run_changes_nothing(house: Lab) -> None:
    again = house.play("playbook.yaml", NODES, *WITH_DOCKER, "--limit", "n1").succeeded()
    assert again.changed == 0, again.output


def test_a_containers_published_port_is_open_to_members_alone(house: Lab) -> None:
    script = (
        "set -e; apt-get -qq install -y busybox-static >/dev/null; mkdir -p /root/image/www"
        "; echo hello >/root/image/www/index.html; cp /bin/busybox /root/image/"
        "; tar -C /root/image -c . | docker import - page"
    )
    made = house.run("n1", "bash", "-c", script, limit_s=300)
    assert made.code == 0, made.output
    docker(
        house, "run", "--detach", "--name=page", "--publish=21000:80", "--security-opt=apparmor=unconfined", "page",
        "/busybox", "httpd", "-f", "-h", "/www",
    )  # fmt: skip
    address = house["n1"].address
    member = functools.partial(house.run, "n2")
    wait_until("the container answers a member", lambda: knock(member, address, [21000]) == {21000: "open"}, 60)

    assert knock(house.control, address, [21000]) == {21000: REFUSED}


def test_a_socket_on_the_network_is_refused(house: Lab) -> None:
    settings = house["n1"].root / "etc/docker/daemon.json"
    settings.write_text(json.dumps({**SETTINGS, "hosts": ["fd://", "tcp://0.0.0.0:2375"]}))

    refused = house.play("playbook.yaml", NODES, *WITH_DOCKER, "--limit", "n1")

    settings.write_text(json.dumps(SETTINGS))
    assert refused.code != 0
    assert "tcp://0.0.0.0:2375" in refused.output
    assert "Take `hosts` out of /etc/docker/daemon.json" in refused.output


def test_it_goes_with_the_rest(house: Lab) -> None:
    house.play("ansible/uninstall.yaml", NODES, "--extra-vars", "@group_vars/all.yaml").succeeded()

    assert house.run("n1", "systemctl", "is-active", "docker.service").output.strip() == "inactive"
    assert house.run("n1", "systemctl", "is-active", "docker.socket").output.strip() == "inactive"
