"""What the Consul of a lab's nodes says, asked from the nodes themselves with the lab's management token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from testing.lab.lab import Lab


class ConsulApi:
    """Consul as the nodes' own agents see it. What an agent cannot say is None: it is away, or has no leader."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def ask(self, node: str, path: str, body: Any = None) -> Any:
        """Ask a node's agent; with a body, tell it."""
        secrets: Path = self._lab.path / "vault/secrets.yaml"
        token = yaml.safe_load(secrets.read_text())["consul"]["management_token"]
        # curl reads what it is to do: a token does not belong on a command line.
        lines = [f'url = "http://127.0.0.1:8500{path}"', f'header = "X-Consul-Token: {token}"', "silent", "fail"]
        lines += ["max-time = 10"]
        if body is not None:
            lines += ['request = "PUT"', f"data = {json.dumps(json.dumps(body))}"]
        try:
            done = self._lab.run(node, "curl", "--config", "-", text="\n".join(lines), limit_s=60)
        except RuntimeError:  # the node is off
            return None
        if done.code:
            return None
        return json.loads(done.output) if done.output.strip() else {}

    def leader(self, node: str) -> str:
        """The name of the leader that a node knows; empty: none."""
        address = (self.ask(node, "/v1/status/leader") or "").rpartition(":")[0]
        return next((each.name for each in self._lab if each.address == address), "")

    def voters(self, node: str) -> set[str]:
        """The names of the servers that vote, as a node knows them."""
        known = self.ask(node, "/v1/operator/raft/configuration") or {"Servers": []}
        return {server["Node"] for server in known["Servers"] if server["Voter"]}

    def alive(self, node: str) -> set[str]:
        """The names of the members that a node sees alive."""
        return {member["Name"] for member in self.ask(node, "/v1/agent/members") or [] if member["Status"] == 1}

    def passing(self, node: str, service: str) -> set[str] | None:
        """The nodes that a service may be used on; None: this node cannot say."""
        found = self.ask(node, f"/v1/health/service/{service}?passing")
        return None if found is None else {each["Node"]["Node"] for each in found}
