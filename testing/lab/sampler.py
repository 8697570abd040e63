"""Watches the servers of a lab's nodes, twice a second, from the nodes themselves, while something is done to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from testing.lab import watch
from testing.lab.lab import Lab
from testing.lab.node import wait_until

# Where a server of each program listens, and where it says that it has a leader.
PORTS = {"consul": 8300, "nomad": 4647, "nats": 4222}
LEADERS = {
    "consul": "http://127.0.0.1:8500/v1/status/leader",
    "nomad": "https://127.0.0.1:4646/v1/status/leader",
    "nats": "http://127.0.0.1:8222/healthz",
}
_UNIT = "lab-watch"
_SAMPLES = "/run/lab-watch.jsonl"
# What a node that could not look for so long said before says nothing of now.
_STALE_S = 10


class Sampler:
    """Samples of these programs on these nodes, gathered while the block runs; use as a context manager.

    A node's clock is this machine's, so what the nodes saw is put side by side.
    """

    def __init__(self, lab: Lab, programs: Sequence[str], nodes: Sequence[str]) -> None:
        self._lab = lab
        self._programs = tuple(programs)
        self._nodes = tuple(nodes)
        # By program: when, which node, whether its server listened, whether it knew a leader.
        self._seen: dict[str, list[tuple[float, str, bool, bool]]] = {}

    def __enter__(self) -> Sampler:
        for name in self._nodes:
            node = self._lab[name]
            (node.root / "opt/lab-watch.py").write_text(Path(watch.__file__).read_text())
            what = [f"{each}={node.address}:{PORTS[each]}={LEADERS[each]}" for each in self._programs]
            output = f"--property=StandardOutput=truncate:{_SAMPLES}"
            started = node.run("systemd-run", f"--unit={_UNIT}", output, "/usr/bin/python3", "/opt/lab-watch.py", *what)
            assert started.code == 0, started.output
        wait_until("the first samples", lambda: all(self._lines(name) for name in self._nodes))
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._nodes:
            samples = [json.loads(line) for line in self._lines(name)]
            for each in self._programs:
                seen = self._seen.setdefault(each, [])
                seen += [(sample["at"], name, *sample[each]) for sample in samples]
            self._lab.run(name, "systemctl", "stop", _UNIT)
        for seen in self._seen.values():
            seen.sort()

    def __str__(self) -> str:
        told = [
            f"{each}: {self.most_down(each)} down at most, {self.longest_pause(each):.0f} s without a leader at most"
            f" ({len(self._seen[each])} samples)"
            for each in self._programs
        ]
        return "; ".join(told)

    def most_down(self, program: str) -> int:
        """How many of its servers were down at once, at worst."""
        return max(self._moments(program, 2))

    def longest_pause(self, program: str) -> float:
        """For how long no server that listened knew a leader, at worst; in seconds."""
        longest, since = 0.0, None
        for at, leaderless in zip((each[0] for each in self._seen[program]), self._moments(program, 3), strict=True):
            if leaderless < len(self._nodes):
                since = None
            else:
                since = at if since is None else since
                longest = max(longest, at - since)
        return longest

    def _moments(self, program: str, what: int) -> list[int]:
        """At each sample, of how many nodes the latest word is a no."""
        latest: dict[str, tuple[float, bool]] = {}
        found = []
        for sample in self._seen[program]:
            at, name = sample[0], sample[1]
            latest[name] = (at, bool(sample[what]))
            found.append(sum(not good and at - when < _STALE_S for when, good in latest.values()))
        return found

    def _lines(self, name: str) -> list[str]:
        whole, _, _torn = self._lab.run(name, "cat", _SAMPLES).output.rpartition("\n")
        return whole.splitlines()
