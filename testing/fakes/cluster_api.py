"""Consul and Nomad as far as the page "House" asks them: one scripted cluster, as both would tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

_GB = 1024**3


@dataclass
class ScriptedCluster(httpx.AsyncBaseTransport):
    """Three PCs, ``n1`` leads.

    Attributes:
        away: PCs that are not there.
        silent: hosts (``consul``, ``nomad``) that do not answer; ``refused``: that answer 403.
        leader: an address; empty: none is agreed on.
        jobs: by name, how many run, start and wait; ``stopped``: those that shall not run.
        ill: service, PC of an instance whose check fails.
        asked: the tokens that were shown.
    """

    away: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    leader: str = "10.0.0.1:8300"
    jobs: dict[str, tuple[int, int, int]] = field(default_factory=lambda: {"pipecat-app": (2, 0, 0)})
    stopped: set[str] = field(default_factory=set)
    ill: set[tuple[str, str]] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.asked.add(request.headers.get(f"X-{host.title()}-Token", ""))
        if host in self.silent:
            raise httpx.ConnectError("nobody is there")
        if host in self.refused:
            return httpx.Response(403, text="Permission denied")
        answers = self._consul() if host == "consul" else self._nomad(request.url.params)
        return httpx.Response(200, json=answers[request.url.path])

    def _consul(self) -> Mapping[str, Any]:
        checks = [
            {
                "Node": f"n{n}", "CheckID": "serfHealth", "ServiceName": "", "ServiceID": "",
                "Status": "critical" if f"n{n}" in self.away else "passing",
            }
            for n in (1, 2, 3)
        ] + [
            {
                "Node": node, "CheckID": f"service:{name}", "ServiceName": name, "ServiceID": f"{name}-{node}",
                "Status": "critical" if (name, node) in self.ill else "passing",
            }
            for name, node in [("pipecat-app", "n1"), ("pipecat-app", "n2"), ("prima-api-coding", "n3")]
        ]  # fmt: skip
        return {
            "/v1/catalog/nodes": [{"Node": f"n{n}", "Address": f"10.0.0.{n}"} for n in (1, 2, 3)],
            "/v1/health/state/any": checks,
            "/v1/status/leader": self.leader,
        }

    def _nomad(self, asked: Mapping[str, str]) -> Mapping[str, Any]:
        nodes = [
            {"ID": f"id{n}", "Name": f"n{n}", "Address": f"10.0.0.{n}",
             "Status": "down" if f"n{n}" in self.away else "ready"}
            for n in (1, 2, 3)
        ]  # fmt: skip
        jobs = [
            {
                "Name": name, "Stop": name in self.stopped,
                "JobSummary": {"Summary": {"group": {"Running": run, "Starting": start, "Queued": wait, "Lost": 1}}},
            }
            for name, (run, start, wait) in self.jobs.items()
        ]  # fmt: skip
        stats = {
            "Memory": {"Total": 8 * _GB, "Available": 2 * _GB, "Used": 5 * _GB, "Free": _GB},
            "AllocDirStats": {"Size": 100 * _GB, "Available": 4 * _GB, "Used": 90 * _GB},
            "DiskStats": [{"Size": 1, "Available": 1}],
        }
        if asked.get("node_id") == "id2":  # it has just gone
            stats = {}
        return {"/v1/nodes": nodes, "/v1/jobs": jobs, "/v1/client/stats": stats}
