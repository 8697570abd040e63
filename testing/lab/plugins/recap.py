"""Writes what a play did to each host into the file named by LAB_RECAP: counts, and what changed or failed."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recap
type: aggregate
short_description: what a play did to each host, as JSON
description: One object for each host with ok, changed, failures, unreachable, skipped, changed_tasks, failed_tasks.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collects, and writes at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recap"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._changed: dict[str, list[str]] = defaultdict(list)
        self._failed: dict[str, list[str]] = defaultdict(list)

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed():
            self._changed[_host(result)].append(_task(result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._failed[_host(result)].append(_task(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._failed[_host(result)].append(_task(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        names = ("ok", "changed", "failures", "unreachable", "skipped")
        hosts = {}
        for host in sorted(stats.processed):
            summary = stats.summarize(host)
            hosts[host] = {name: summary[name] for name in names} | {
                "changed_tasks": self._changed[host],
                "failed_tasks": self._failed[host],
            }
        Path(os.environ["LAB_RECAP"]).write_text(json.dumps(hosts))


def _host(result: Any) -> str:
    return str(result.host.get_name())


def _task(result: Any) -> str:
    return str(result.task.get_name())
