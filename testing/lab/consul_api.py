"""What the Consul of a lab's nodes says of its members and their services."""

from __future__ import annotations

from testing.lab.agents import Agents
from testing.lab.lab import Lab


class ConsulApi(Agents):
    """Consul as the nodes' own agents see it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "consul")

    def alive(self, node: str) -> set[str]:
        """The names of the members that a node sees alive."""
        return {member["Name"] for member in self.ask(node, "/v1/agent/members") or [] if member["Status"] == 1}

    def passing(self, node: str, service: str) -> set[str] | None:
        """The nodes that a service may be used on; None: this node cannot say."""
        found = self.ask(node, f"/v1/health/service/{service}?passing")
        return None if found is None else {each["Node"]["Node"] for each in found}
