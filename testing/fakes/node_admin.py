"""The unit node_admin as a program, an agent's journal that stays open beside it, and an Ansible by script."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipecatapp.domain import ApprovalRequest, ApprovalState, Preview, Risk
from pipecatapp.storage.approvals import Approvals, ApprovalTable
from pipecatapp.storage.journal import SqliteJournal

SOURCE = Path(__file__).resolve().parents[2] / "src"
YES = "0123456789abcdef"
KEY = "SHA256:" + "A" * 43

# Writes down how it was called; then does what the file `script` beside it says.
_ANSIBLE = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$@" >>"$here/called"
env >"$here/environment"
. "$here/script"
"""


class AgentJournal:
    """What the agent keeps of approvals, open for itself alone as in the agent."""

    def __init__(self, folder: Path) -> None:
        table = ApprovalTable()
        self.journal = SqliteJournal(folder, [table])
        self._approvals = Approvals(self.journal, table)
        self._all: dict[str, ApprovalRequest] = {}

    async def agree(self, tool: str, arguments: Mapping[str, Any], approval: str = YES, **other: Any) -> None:
        """Write down a yes that is being carried out now; ``other`` fields make it something else."""
        fields: dict[str, Any] = {
            "id": approval, "digest": "d", "conversation": "c", "turn": "t", "tool": tool, "arguments": dict(arguments),
            "risk": Risk.DANGER, "preview": Preview("Do it."), "words": "", "requested_at": time.time(),
            "expires_at": time.time() + 100, "state": ApprovalState.STARTED, "by": "page", **other,
        }  # fmt: skip
        self._all[approval] = ApprovalRequest(**fields)
        await self._approvals.save(list(self._all.values()))


class Unit:
    """The unit; a context manager. ``script`` is what its Ansible does."""

    def __init__(self, folder: Path, journal: Path, **settings: Any) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self.state = folder / "state"
        self.playbooks = folder / "playbooks"
        self.ansible = folder / "bin"
        for made in (self.state, self.playbooks, self.ansible):
            made.mkdir(mode=0o755)
        program = self.ansible / "ansible-playbook"
        program.write_text(_ANSIBLE)
        program.chmod(0o755)
        self.script("true")
        for name in ("playbook.yaml", "remove_node.yaml", "heal_cluster.yaml"):
            (self.playbooks / name).write_text("[]\n")
        self.write_inventory({"n1": {"ansible_host": "127.0.0.2"}}, {"n2": {"ansible_host": "127.0.0.3"}})
        self.settings = {
            "agent": os.getuid(), "journal": str(journal), "playbooks": str(self.playbooks), "ansible": str(program),
            "folder": str(self.state), "networks": ["127.0.0.0/24"], "vault": str(self.state / "vault"), **settings,
        }  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Unit:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        logged = self.stop()
        assert "Traceback" not in logged, logged

    def start(self) -> None:
        """As systemd does: with a socket that listens already."""
        config = self.folder / "config.json"
        config.write_text(json.dumps(self.settings))
        self.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.socket))
            self.socket.chmod(0o777)
            listening.listen(16)
            number = listening.fileno()
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec 3<&{number}; export LISTEN_FDS=1; exec "$0" -m node_admin "$1"', sys.executable,
                 str(config)],
                pass_fds=(number,), env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)},
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End it; what it logged."""
        assert self.process is not None
        self.process.send_signal(how)
        _, logged = self.process.communicate(timeout=30)
        return logged

    def script(self, text: str) -> None:
        """What Ansible does from now on (shell)."""
        (self.ansible / "script").write_text(f"{text}\n")

    def write_inventory(self, controllers: Mapping[str, Any], workers: Mapping[str, Any]) -> None:
        """The house's machines."""
        groups = {"controller_nodes": controllers, "worker_nodes": workers}
        (self.state / "machines.json").write_text(json.dumps(groups))

    @property
    def workers(self) -> dict[str, Any]:
        """The workers in what Ansible read last, else those of a person's inventory."""
        written = self.state / "inventory.json"
        if not written.exists():
            found: dict[str, Any] = json.loads((self.state / "machines.json").read_text())["worker_nodes"]
            return found
        found = json.loads(written.read_text())["all"]["children"]["worker_nodes"]["hosts"]
        return found

    @property
    def called(self) -> list[str]:
        """All arguments that Ansible was given so far."""
        path = self.ansible / "called"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def run(self) -> dict[str, Any]:
        """What it noted of its last run."""
        found: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        return found

    async def send(self, data: bytes, cancel_after: str = "") -> list[dict[str, Any]]:
        """Send bytes; the lines that come back, the last one being the end."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        lines = []
        try:
            writer.write(data)
            await writer.drain()
            while line := await reader.readline():
                lines.append(json.loads(line))
                if cancel_after and cancel_after in line.decode():
                    writer.write(b'{"cancel": true}\n')
        except ConnectionError:
            pass  # it does not listen to all of what it refuses
        finally:
            writer.close()
        return lines

    async def ask(self, verb: str, node: str, approval: str = YES, **options: str) -> list[dict[str, Any]]:
        """Ask for something; the lines that come back."""
        line = json.dumps({"verb": verb, "node": node, "approval": approval})
        return await self.send(line.encode() + b"\n", **options)
