"""What root of a cluster's machine finds on its disk, and what a program may do with it there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testing.lab.lab import Lab

CONSUL, NOMAD = "http://127.0.0.1:8500", "https://127.0.0.1:4646"
# Everything but what the kernel shows and what the lab's Debian brought along.
_PLACES = ("/etc", "/opt", "/var/lib", "/var/log", "/root", "/home", "/run", "/tmp")


@dataclass(frozen=True)
class Answer:
    """What an API said."""

    status: int
    body: str

    @property
    def refused(self) -> bool:
        """Whether it neither did nor told anything. Consul and Nomad answer 500, too, where a token is of no use."""
        assert self.status in (200, 401, 403, 500), f"asked wrongly: {self.status} {self.body}"
        return self.status != 200 or self.body.strip() in ("[]", "{}")

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


def tell(lab: Lab, node: str, token: str, method: str, path: str, body: Any = None) -> Answer:
    """Speak with Consul or Nomad from a machine: ``consul/v1/...`` or ``nomad/v1/...``, by its own agent."""
    program, _, rest = path.partition("/")
    address, header = (CONSUL, "X-Consul-Token") if program == "consul" else (NOMAD, "X-Nomad-Token")
    lines = [f'url = "{address}/{rest}"', f'request = "{method}"', "silent", "max-time = 20"]
    lines += [f'header = "{header}: {token}"'] if token else []
    lines += ['cacert = "/etc/nomad.d/tls/ca.pem"'] if program == "nomad" else []
    lines += [f"data = {json.dumps(body if isinstance(body, str) else json.dumps(body))}"] if body is not None else []
    lines += ['write-out = "\\n%{http_code}"']
    said = lab.run(node, "curl", "--config", "-", text="\n".join(lines), limit_s=60)
    text, _, status = said.output.rpartition("\n")
    return Answer(int(status), text)


def tokens(lab: Lab, node: str) -> dict[str, str]:
    """The tokens in the files of a worker, by what they are for."""
    files = {
        "agent": ("/etc/consul.d/tokens.hcl", r'agent = "([^"]+)"'),
        "recovery": ("/etc/consul.d/recovery.token", r"(\S+)"),
        "nomad": ("/etc/nomad.d/nomad.hcl", r'token\s+= "([^"]+)"'),
        "firewall": ("/etc/pipecatapp/firewall.token", r"(\S+)"),
        "secret": ("/opt/nomad/data/client/secret-id", r"(\S+)"),
    }
    found = {}
    for name, (file, pattern) in files.items():
        match = re.search(pattern, lab.run(node, "cat", file).output)
        assert match, file
        found[name] = match[1]
    return found


def leaves(secrets: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every secret of a vault with its dotted name."""
    for name, value in secrets.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{name}.")
        elif isinstance(value, str):
            yield f"{above}{name}", value


def on_disk(lab: Lab, node: str, secrets: Mapping[str, Any]) -> set[str]:
    """The names of a vault's secrets that lie anywhere on a machine."""
    by_value = {value: name for name, value in leaves(secrets)}
    command = ["grep", "--recursive", "--text", "--no-filename", "--only-matching", "--fixed-strings", "--file=-"]
    said = lab.run(node, *command, *_PLACES, text="\n".join(by_value) + "\n", limit_s=300)
    return {by_value[line] for line in said.output.splitlines() if line in by_value}
