"""The layer of a node that already has the agent: a real ``bootstrap.sh --starter-only``, done once and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from testing.lab import bases
from testing.lab.play import REPOSITORY
from testing.provision.entered import house_environment

# What takes minutes to get. The program itself is not among it: a play brings it up to date, as on any PC.
DEPENDS_ON = (
    "requirements/default.txt",
    "requirements/build.txt",
    "requirements/provision-min.txt",
    "src/pipecatapp/llm/engine_pins.yaml",
    "group_vars/models.yaml",
)
# What makes one agent another than its neighbour. It makes this anew when it starts.
_OWN = ("token", "tls", "engine/api.key", "engine/llama-server.log", "events", "journal.*")
_CLONE = "root/agent"


def layers(suite: str) -> list[Path]:
    """What lies below the disk of a node with an agent, the topmost first; made when it is first asked for."""
    plain = bases.plain(suite)
    digest = hashlib.sha256(plain.name.encode())
    for name in DEPENDS_ON:
        digest.update((REPOSITORY / name).read_bytes())
    return [bases.current(f"{suite}-agent", digest.hexdigest()[:8], lambda fresh: _make(suite, fresh)), plain]


def _make(suite: str, fresh: Path) -> None:
    from testing.lab.lab import Lab

    with Lab(f"a{os.getpid()}", suite=suite) as lab:
        (node,) = lab.add("agent")
        clone = lab.path / "clone"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{REPOSITORY}", str(clone)], check=True)
        subprocess.run(["cp", "-a", str(clone), str(node.root / _CLONE)], check=True)
        house = house_environment(node.root)
        done = node.run("./bootstrap.sh", "--starter-only", env=house, cwd=f"/{_CLONE}", limit_s=1800)
        if done.code:
            raise RuntimeError(f"bootstrap.sh ended with {done.code}:\n{done.output[-4000:]}")
        own = " ".join(f"/var/lib/pipecatapp/{name}" for name in _OWN)
        forgotten = node.run("sh", "-c", f"./bootstrap.sh --stop && rm -r {own} /var/log/journal/*", cwd=f"/{_CLONE}")
        if forgotten.code:
            raise RuntimeError(f"the agent's identity could not be removed: {forgotten.output}")
        node.stop()
        (node.folder / "upper").rename(fresh)
