"""Seconds and changes of a first run of the play, a second one, and one with a changed variable, on fresh nodes.

    scripts/bench provision --nodes 3
    scripts/bench provision --nodes 3 --agent -- --tags cluster,firewall,consul
    scripts/bench provision --simulated 100

The nodes are a lab on this machine (testing/README.md; needs root): up to three controllers, the others workers, all on
the processors of this one machine, so real PCs are quicker than many nodes here. What follows -- goes to Ansible.

``--simulated`` shows what the control node needs for so many machines: that many names of one node, looked at with
--check, so that nothing changes. The control node's own time is told apart from the wait for the node.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testing.bench.footprint import memory
from testing.lab import machine
from testing.lab.lab import Lab
from testing.lab.play import Inventory, Play

STARTER = '{"models_pull_arguments": ["all-minilm-l6-v2"]}'
CHANGE = '{"web_port": 8001}'
# With so many machines a connection waits for its turn longer than Ansible keeps it, and a new one may be late.
PATIENT = {"ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=900s", "ANSIBLE_SSH_RETRIES": "5"}


class Watch:
    """The most memory that the processes below this one had, in MB, and the processor's seconds that they took."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.cpu_s = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look while something runs."""
        over = threading.Event()
        looking = threading.Thread(target=self._look, args=(over,))
        before = _children_s()
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()
            self.cpu_s = _children_s() - before

    def _look(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            # A process that ends while it is looked at spoils this look, not the next.
            with contextlib.suppress(OSError, KeyError):
                _mine, *others = memory(os.getpid())
                self.peak_mb = max(self.peak_mb, sum(process.pss_mb for process in others))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(name: str, lab: Lab, inventory: Inventory, *options: str, **more: Any) -> dict[str, float]:
    """Run the play once; the figures, each under the run's name. ``more`` goes to ``Lab.play``."""
    watch = Watch()
    began = time.monotonic()
    with watch.watching():
        play: Play = lab.play("playbook.yaml", inventory, *options, quiet=True, limit_s=7200, **more)
    seconds = time.monotonic() - began
    if play.code:
        raise RuntimeError(f"{name}: the play ended with {play.code}\n{play.output[-6000:]}")
    tasks = sum(host.ok + host.skipped for host in play.hosts.values())
    row = f"{name:<14} {len(play.hosts):>6} {tasks:>7} {play.changed:>8} {seconds:>8.1f}"
    print(f"{row} {watch.cpu_s:>8.1f} {watch.peak_mb:>8.0f}", flush=True)
    return {
        f"{name}_s": round(seconds, 1),
        f"{name}_changed": play.changed,
        f"{name}_control_cpu_s": round(watch.cpu_s, 1),
        f"{name}_control_peak_mb": round(watch.peak_mb),
    }


def real(options: argparse.Namespace, lab: Lab) -> dict[str, float]:
    """Three runs on so many nodes."""
    names = [f"n{number}" for number in range(1, options.nodes + 1)]
    lab.add(*names, agent=options.agent)
    inventory = {"controller_nodes": names[:3], "worker_nodes": names[3:]}
    given = (f"--extra-vars={STARTER}", *options.ansible)
    return {
        **measured("first_run", lab, inventory, *given),
        **measured("second_run", lab, inventory, *given),
        **measured("variable_run", lab, inventory, *given, f"--extra-vars={options.change}"),
    }


def simulated(options: argparse.Namespace, lab: Lab) -> dict[str, float]:
    """One run that only looks, on so many names of one node."""
    lab.add("n1", agent=True)
    names = [f"sim{number:03}" for number in range(1, options.simulated)]
    lab.alias("n1", *names)
    inventory = {"controller_nodes": ["n1"], "worker_nodes": names}
    given = ("--check", f"--extra-vars={STARTER}", "--extra-vars=cluster=never", *options.ansible)
    return measured("check_run", lab, inventory, *given, env=PATIENT)


def main() -> int:
    """Measure what was asked for."""
    options = _options()
    if why := machine.missing():
        print(f"no lab here: {why}", file=sys.stderr)
        return 2
    print(f"{'run':<14} {'hosts':>6} {'tasks':>7} {'changed':>8} {'s':>8} {'CPU s':>8} {'MB':>8}")
    with Lab(f"b{os.getpid()}") as lab:
        figures = simulated(options, lab) if options.simulated else real(options, lab)
    hosts = options.simulated or options.nodes
    began_with = options.agent or bool(options.simulated)
    print(json.dumps({"hosts": hosts, "simulated": bool(options.simulated), "agent": began_with, **figures}))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench provision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (default: 1)")
    parser.add_argument("--agent", action="store_true", help="they begin with the agent installed")
    parser.add_argument("--change", default=CHANGE, help=f"the variable of the third run (default: {CHANGE})")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="N names of one node instead")
    parser.add_argument("ansible", nargs="*", help="options for ansible-playbook, after --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
