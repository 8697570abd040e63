"""A new PC as its owner sees it: a clone of this repository on a fresh Debian, and bootstrap.sh."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from testing.ports import free_port
from testing.provision.debian_tree import DebianTree
from testing.provision.entered import Result, house_environment

CLONE = "/root/agent"


class NewPc:
    """The tree, the clone in it and the ports that the agent gets: the network is the machine's own."""

    def __init__(self, tree: DebianTree) -> None:
        self.tree = tree
        self.pristine = frozenset(self.files())
        self.port, self.tls_port, self.engine_port = free_port(), free_port(), free_port()

    @property
    def environment(self) -> Mapping[str, str]:
        return house_environment(self.tree.path) | {
            "WEB_PORT": str(self.port),
            "WEB_TLS_PORT": str(self.tls_port),
            "ENGINE_PORT": str(self.engine_port),
        }

    def bootstrap(self, *options: str, env: Mapping[str, str] | None = None) -> Result:
        """``./bootstrap.sh`` as a person runs it, with the ports that are this PC's or another environment."""
        environment = self.environment if env is None else env
        result = self.tree.run("./bootstrap.sh", *options, env=environment, cwd=CLONE, limit_s=1500)
        print(result.output)
        return result

    def files(self) -> dict[str, tuple[int, int, str]]:
        """Every file of the machine but what is volatile: mode, owner and size or target."""
        seen = {}
        for folder, folders, names in os.walk(self.tree.path):
            at = Path(folder)
            if at == self.tree.path:
                folders[:] = [name for name in folders if name not in ("proc", "dev", "run", "tmp", "sys")]
            for name in [*names, *folders]:
                status = (at / name).lstat()
                content = str((at / name).readlink()) if (at / name).is_symlink() else str(status.st_size)
                is_folder = name in folders and not (at / name).is_symlink()
                path = str((at / name).relative_to(self.tree.path))
                seen[path] = (status.st_mode, status.st_uid, "" if is_folder else content)
        return seen

    def processes(self) -> list[str]:
        """The command line of everything that runs in the tree, but its first process."""
        script = r"for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null && echo; done"
        lines = [line.strip() for line in self.tree.run("sh", "-c", script).output.splitlines()]
        return [line for line in lines if line and "sleep 3600" not in line and "/proc/[0-9]" not in line]
