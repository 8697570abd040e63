"""A lab with a cluster in it (``house.yaml``), and what its Consul and Nomad say, asked from the nodes themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from testing.lab.agents import Agents, vault_of
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.play import Play

SERVERS = ["n1", "n2", "n3"]
THREE = {"controller_nodes": SERVERS, "worker_nodes": []}
JOB = "pages"

needs_nomad = pytest.mark.skipif(not os.environ.get("NOMAD_BIN"), reason="no Nomad here: NOMAD_BIN names none")


class House:
    """Three controllers. What an agent cannot say is None: it is away, or has no leader."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._agents = {"consul": Agents(lab, "consul"), "nomad": Agents(lab, "nomad")}
        self.nomad = bool(os.environ.get("NOMAD_BIN"))

    @property
    def programs(self) -> list[str]:
        """What is in the cluster."""
        return ["consul", "nomad"] if self.nomad else ["consul"]

    @property
    def vault(self) -> dict[str, Any]:
        """The cluster's secrets."""
        return vault_of(self.lab)

    def play(self, *options: str, **more: Any) -> Play:
        """Make the cluster, or bring it up to date."""
        return self.lab.play("testing/lab/house.yaml", THREE, *options, **more)

    def heal(self, *options: str, **more: Any) -> Play:
        """What a person runs when something is wrong."""
        # A busy machine's nodes are slower than old PCs.
        return self.lab.play("heal_cluster.yaml", THREE, *options, **more)

    def ask(self, program: str, node: str, path: str, body: Any = None) -> Any:
        """Ask a node's agent with the management token; with a body, tell it."""
        return self._agents[program].ask(node, path, body)

    def leader(self, program: str, node: str) -> str:
        """The name of the leader that a node knows; empty: none."""
        return self._agents[program].leader(node)

    def voters(self, program: str, node: str) -> set[str]:
        """The names of the servers that vote, as a node knows them."""
        return self._agents[program].voters(node)

    def addresses(self, program: str, node: str) -> dict[str, str]:
        """By which addresses the servers know each other."""
        return self._agents[program].addresses(node)

    def whole(self, program: str, *nodes: str) -> bool:
        """Whether these nodes, all where none is named, see the same leader and all three voters."""
        asked = nodes or SERVERS
        leaders = {self.leader(program, node) for node in asked}
        return len(leaders) == 1 and "" not in leaders and self.voters(program, asked[0]) == set(SERVERS)

    def runs_once(self, node: str = "n1") -> bool:
        """Whether the job has exactly one running instance, and Consul shows it and no other."""
        found = self.ask("nomad", node, f"/v1/job/{JOB}/allocations")
        running = [one["NodeName"] for one in found or [] if one["ClientStatus"] == "running"]
        passing = self.ask("consul", node, f"/v1/health/service/{JOB}?passing") or []
        return len(running) == 1 and [each["Node"]["Node"] for each in passing] == running

    def settle(self, limit_s: float = 180) -> None:
        """Wait until all is as it should be."""
        for program in self.programs:
            wait_until(f"{program} whole", lambda program=program: self.whole(program), limit_s)
        if self.nomad:
            wait_until("the job, once", self.runs_once, limit_s)

    def starts(self) -> dict[str, str]:
        """When each of the cluster's processes started, on all nodes: the same as before is not restarted."""
        units = ["consul", "nomad", "pipecatapp-firewall", "pipecatapp-firewall-members"]
        asked = ["systemctl", "show", "--property=Id,MainPID,ExecMainStartTimestampMonotonic", *units]
        return {node.name: node.run(*asked).output for node in self.lab}

    def write(self, name: str, text: str) -> Path:
        """A file of the lab's own on the control node."""
        path = self.lab.path / name
        path.write_text(text)
        return path
