"""The lab for people: ``up.sh``, ``check.sh`` and ``down.sh`` beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testing.lab import machine
from testing.lab.lab import Lab, take_down
from testing.lab.play import hosts_of

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="testing/lab", description="A cluster of Debian nodes on this machine.")
    parser.add_argument("--name", default="lab", help="the lab's name, where several run at once (default: lab)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make the nodes of an inventory, or add those that are missing and start all")
    up.add_argument("inventory", nargs="?", type=Path, default=HERE / "inventories/single.yaml")
    up.add_argument("--subnet", help="a network of 254 addresses, 10.77.5.0/24; a free one by default")
    up.add_argument("--suite", default="trixie", help="the Debian of a new lab's nodes (default: trixie)")
    up.add_argument("--agent", action="store_true", help="new nodes have the agent installed")
    commands.add_parser("check", help="say whether every node runs and whether ssh and Ansible reach it")
    commands.add_parser("down", help="remove the lab, whatever is left of it")
    run = commands.add_parser("run", help="run a command in a node as root: run n1 systemctl status")
    run.add_argument("node")
    run.add_argument("words", nargs=argparse.REMAINDER)
    play = commands.add_parser("play", help="run a playbook: play playbook.yaml INVENTORY [ansible-playbook's options]")
    play.add_argument("playbook")
    play.add_argument("inventory")
    play.add_argument("words", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    if why := machine.missing():
        print(f"no lab here: {why}", file=sys.stderr)
        return 2
    try:
        return {"up": _up, "check": _check, "down": _down, "run": _run, "play": _play}[chosen.command](chosen)
    except (LookupError, RuntimeError, TimeoutError) as error:
        print(f"lab '{chosen.name}': {error}", file=sys.stderr)
        return 1


def _up(chosen: argparse.Namespace) -> int:
    names = hosts_of(chosen.inventory)
    try:
        lab = Lab.of_name(chosen.name)
    except LookupError:
        lab = Lab(chosen.name, chosen.subnet, chosen.suite)
        lab.up()
    lab.start()
    lab.add(*(name for name in names if name not in lab.nodes), agent=chosen.agent)
    for node in lab:
        print(f"{node.name:<12} {node.address}")
    print(f"inventory    {lab.inventory(chosen.inventory)}")
    print(f"ssh          {' '.join(lab.network.inside('ssh', '-i', str(lab.path / 'key'), 'deploy@ADDRESS'))}")
    return 0


def _check(chosen: argparse.Namespace) -> int:
    lab = Lab.of_name(chosen.name)
    play = lab.play("testing/lab/ping.yaml", {"controller_nodes": list(lab.nodes)}, quiet=True)
    good = True
    for node in lab:
        state = node.run("systemctl", "is-system-running").output.strip() if node.running else "off"
        ssh = lab.ssh(node.name, "true").code == 0
        host = play.hosts.get(node.name)
        ansible = bool(host and not host.failures and not host.unreachable)
        good = good and state == "running" and ssh and ansible
        marks = [f"{what} {'works' if works else 'FAILS'}" for what, works in (("ssh", ssh), ("ansible", ansible))]
        print(f"{node.name:<12} {node.address:<15} {state}, {', '.join(marks)}")
    return 0 if good else 1


def _down(chosen: argparse.Namespace) -> int:
    take_down(chosen.name)
    return 0


def _run(chosen: argparse.Namespace) -> int:
    done = Lab.of_name(chosen.name).run(chosen.node, *chosen.words)
    print(done.output, end="")
    return done.code


def _play(chosen: argparse.Namespace) -> int:
    return Lab.of_name(chosen.name).play(chosen.playbook, chosen.inventory, *chosen.words).code


if __name__ == "__main__":
    sys.exit(main())
