"""Filter `machines_judged`: what stands in the way on all machines, a readable line each, with the next step."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

# Consul and Nomad take these and no others for a node's name; a dot would part it from Nomad's region.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# Clocks that are further apart than this (seconds) make certificates and tokens invalid on one of two machines.
APART_S = 60.0
# Not everywhere is a program that `timedatectl set-ntp` could start.
_SET_CLOCKS = "ansible-playbook -i inventory.yaml heal_cluster.yaml -e heal_set_clock=yes"
# The steps that change what a PC can run, newest first, with what the field calls their level.
_CLASSES: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("AVX-512", "x86-64-v4", frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma"})),
    ("AVX2", "x86-64-v3", frozenset({"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe", "abm"})),
    ("AVX", "x86-64-v2", frozenset({"avx", "sse4_2", "popcnt"})),
    ("Nehalem", "x86-64-v2", frozenset({"sse4_2", "popcnt", "ssse3"})),
    ("Penryn", "x86-64-v1", frozenset({"sse4_1", "ssse3"})),
)


def processor_class(flags: Iterable[str]) -> str:
    """The class of a processor and its x86-64 level in words."""
    has = set(flags)
    return next((f"{name} ({level})" for name, level, needs in _CLASSES if needs <= has), "Core 2 (x86-64-v1)")


def duration(seconds: float) -> str:
    """A length of time for people."""
    for size, unit in ((365.25 * 86400, "year"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size * 1.5 or (seconds >= size and unit == "minute"):
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{round(seconds)} seconds"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The machines that were looked at, and what they are measured against.

    Args:
        machines: by name, what `machine_look` saw, with the facts ``distribution``, ``version``, ``release``,
            ``debian``, ``architecture``, ``memory_mb``, ``cores``, ``address`` and ``unreached``. Empty: it does not
            answer.
        limits: ``debian``, ``memory_mb``, ``disk_mb``, ``released``, ``cluster`` and ``programs``.
    """

    machines: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, Any]

    @property
    def seen(self) -> dict[str, Mapping[str, Any]]:
        """Those that answer."""
        return {name: machine for name, machine in self.machines.items() if machine}

    def subject(self, name: str) -> str:
        """How a line calls a machine."""
        return name if len(self.machines) > 1 else "This machine"

    def errors(self) -> Iterator[str]:
        """Each failure of each machine, then those between machines."""
        for name, machine in self.machines.items():
            if machine:
                yield from self._own(self.subject(name), machine)
            else:
                yield (
                    f"{name} does not answer. Turn it on, check ansible_host and ansible_user in the inventory, or"
                    f" leave it out this time: --limit 'all:!{name}'"
                )
        if len(self.machines) > 1:
            yield from self._names()
            yield from self._clocks()
            yield from self._twins()
            yield from self._ways()

    def warnings(self) -> Iterator[str]:
        """What works, and will not work well."""
        for name, machine in self.seen.items():
            times = sorted(machine["write_ms"])
            slow = times[int(len(times) * 0.95)] if times else 0.0
            # A raft heartbeat waits for a write; a follower gives its leader a second for each step of the multiplier.
            multiplier = min(10, ceil(slow * 10 / 1000))
            if self.limits["cluster"] and multiplier > 1:
                yield (
                    f"{self.subject(name)} takes {slow:.0f} ms to make a write safe. Raft waits for that at each step,"
                    " so that a busy leader there counts as dead now and then and another one is elected. Set"
                    f" consul_raft_multiplier: {multiplier} and nomad_heartbeat_grace: {5 * multiplier}s in"
                    " group_vars/all.yaml, or give it a quicker disk"
                )

    def summary(self) -> Iterator[str]:
        """A line for each machine."""
        for name, machine in self.seen.items():
            times = sorted(machine["write_ms"])
            written = f", a write is safe after {times[len(times) // 2]:.1f} ms" if times else ""
            yield (
                f"{name}: {processor_class(machine['flags'])}, {machine['cores']} cores,"
                f" {machine['memory_mb'] / 1024:.1f} GiB of memory, {machine['free_mb'] / 1024:.0f} GiB free{written}"
            )

    def _own(self, subject: str, machine: Mapping[str, Any]) -> Iterator[str]:
        limits = self.limits
        # Testing and unstable have no number: newer than any.
        release = int(machine["release"]) if str(machine["release"]).isdigit() else 99
        old = machine["distribution"] == "Debian" and release < limits["debian"]
        if not machine["debian"] or machine["architecture"] != "x86_64" or old:
            yield (
                f"{subject} runs {machine['distribution']} {machine['version']} on {machine['architecture']}; the agent"
                f" runs on Debian {limits['debian']} or newer, x86-64. Install Debian 12 or 13 (64-bit PC)"
            )
        if machine["memory_mb"] < limits["memory_mb"]:
            yield (
                f"{subject} has {machine['memory_mb']} MiB of memory; the agent needs {limits['memory_mb']}. Use a"
                " machine with more memory, or give this container more"
            )
        if machine["clock"] < limits["released"]:
            yield (
                f"{subject} has a clock that is older than this program, so that no certificate would be valid. Set it:"
                " date --set '2026-12-31 20:15', or timedatectl set-ntp true"
            )
        if machine["first"] and machine["free_mb"] < limits["disk_mb"]:
            yield (
                f"{subject} has {machine['free_mb']} MiB free in {limits['programs']}; the installation needs"
                f" {limits['disk_mb']}. Free some disk (apt-get clean, old files)"
            )
        for port, program in machine["taken"].items():
            yield f"{subject} cannot give port {port}: {program}. {_free(int(port), limits)}"
        for host, reason in [*machine["unresolved"].items()][:1]:
            yield (
                f"{subject} finds no address for {host}, where its packages come from ({reason}). Check its cable and"
                " the name server in its /etc/resolv.conf"
            )

    def _names(self) -> Iterator[str]:
        for name in self.machines:
            if not NAME.fullmatch(name) or name.lower() == "localhost":
                yield (
                    f"{name} cannot be a machine's name in a cluster: letters, digits and hyphens, up to 63, not"
                    " localhost. Change it in the inventory"
                )
        for same in _groups({name: name.lower() for name in self.machines}):
            yield f"{_and(same)} are one name to Consul and Nomad. Change all but one in the inventory"

    def _clocks(self) -> Iterator[str]:
        ahead = {name: machine["ahead"] for name, machine in self.seen.items()}
        wrong = {name: by for name, by in ahead.items() if abs(by) > APART_S}
        if len(wrong) == len(ahead) > 1 and max(ahead.values()) - min(ahead.values()) <= APART_S:
            by = next(iter(ahead.values()))
            yield (
                f"The clock of this control node is {duration(abs(by))} {'behind' if by > 0 else 'ahead of'} those of"
                " all machines, which agree. Set it: sudo timedatectl set-ntp true"
            )
            return
        for name, by in wrong.items():
            yield (
                f"{name} has a clock that is {duration(abs(by))} {'ahead of' if by > 0 else 'behind'} the control"
                f" node's. Set it by that: {_SET_CLOCKS} --limit {name}"
            )
        right = {name: by for name, by in ahead.items() if name not in wrong}
        if right and max(right.values()) - min(right.values()) > APART_S:
            slow, fast = min(right, key=lambda name: right[name]), max(right, key=lambda name: right[name])
            yield (
                f"{slow} and {fast} have clocks that are {duration(right[fast] - right[slow])} apart. Set them by the"
                f" control node's: {_SET_CLOCKS} --limit {slow},{fast}"
            )

    def _twins(self) -> Iterator[str]:
        seen = self.seen
        one = _groups({name: machine["address"] for name, machine in seen.items()})
        for same in one:
            yield f"{_and(same)} have one address ({seen[same[0]]['address']}). Name each machine once in the inventory"
        known = {name for same in one for name in same}
        for same in _groups({name: machine["machine_id"] for name, machine in seen.items()}):
            if not known.issuperset(same):
                yield (
                    f"{_and(same)} have the same machine id, as copies of one disk have. On all but one: sudo rm"
                    " /etc/machine-id /var/lib/dbus/machine-id; sudo systemd-machine-id-setup; sudo reboot"
                )
        for same in _groups({name: machine["hostname"].lower() for name, machine in seen.items()}):
            if not known.issuperset(same):
                yield (
                    f"{_and(same)} call themselves {seen[same[0]]['hostname']}. Give each a name of its own: sudo"
                    f" hostnamectl set-hostname {same[-1]}"
                )

    def _ways(self) -> Iterator[str]:
        seen = self.seen
        lost = {(name, peer): why for name, machine in seen.items() for peer, why in machine["unreached"].items()}
        others = len(seen) - 1
        cut = {name for name in seen if others > 1 and sum(peer == name for _, peer in lost) == others}
        for name in sorted(cut):
            yield (
                f"No machine can reach {name} ({seen[name]['address']}). Check its cable and its switch, and that its"
                " own firewall lets the house in"
            )
        for (name, peer), why in lost.items():
            if not cut & {name, peer}:
                yield (
                    f"{name} cannot reach {peer} ({seen[peer]['address']}): {why}. Check the cable, the switch between"
                    f" them and {peer}'s firewall"
                )


def _free(port: int, limits: Mapping[str, Any]) -> str:
    if port in limits.get("own_ports", []):
        return (
            "Stop what listens there, or choose others: WEB_PORT=9000 WEB_TLS_PORT=9443 ENGINE_PORT=9081 ./bootstrap.sh"
        )
    return "The cluster needs it: stop that program, or leave this machine out of the cluster"


def _groups(values: Mapping[str, str]) -> list[list[str]]:
    """The names that share a value."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in values.items():
        if value:
            found[value].append(name)
    return [names for names in found.values() if len(names) > 1]


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def machines_judged(machines: dict[str, dict[str, Any]], limits: dict[str, Any]) -> dict[str, list[str]]:
    """``errors``, ``warnings`` and ``summary`` of machines, as ``Judgement`` takes them."""
    judgement = Judgement(machines, limits)
    return {
        "errors": list(judgement.errors()),
        "warnings": list(judgement.warnings()),
        "summary": list(judgement.summary()),
    }


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Their names."""
        return {"machines_judged": machines_judged}
