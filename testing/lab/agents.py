"""What the agents of one program, Consul or Nomad, say on a lab's nodes, asked there with the management token."""

from __future__ import annotations

import json
from typing import Any, Literal

import yaml

from testing.lab.lab import Lab

Program = Literal["consul", "nomad"]
_HOW = {
    "consul": ("http://127.0.0.1:8500", "X-Consul-Token", ""),
    "nomad": ("https://127.0.0.1:4646", "X-Nomad-Token", 'cacert = "/etc/nomad.d/tls/ca.pem"'),
}


def vault_of(lab: Lab) -> dict[str, Any]:
    """The secrets of a lab's cluster."""
    found: dict[str, Any] = yaml.safe_load((lab.path / "vault/secrets.yaml").read_text())
    return found


class Agents:
    """The agents of one program. What one cannot say is None: it is away, or has no leader."""

    def __init__(self, lab: Lab, program: Program) -> None:
        self._lab = lab
        self._program = program

    def ask(self, node: str, path: str, body: Any = None) -> Any:
        """Ask a node's agent; with a body, tell it."""
        address, header, authority = _HOW[self._program]
        # curl reads what it is to do: a token does not belong on a command line.
        token = vault_of(self._lab)[self._program]["management_token"]
        lines = [f'url = "{address}{path}"', f'header = "{header}: {token}"', authority]
        lines += ["silent", "fail", "max-time = 10"]
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
        return {self._name(server) for server in self._servers(node) if server["Voter"]}

    def addresses(self, node: str) -> dict[str, str]:
        """By which addresses the servers know each other."""
        return {self._name(server): server["Address"].rpartition(":")[0] for server in self._servers(node)}

    def _servers(self, node: str) -> list[dict[str, Any]]:
        known = self.ask(node, "/v1/operator/raft/configuration") or {"Servers": []}
        servers: list[dict[str, Any]] = known["Servers"]
        return servers

    @staticmethod
    def _name(server: dict[str, Any]) -> str:
        # Nomad's has the region behind it.
        name: str = server["Node"].partition(".")[0]
        return name
