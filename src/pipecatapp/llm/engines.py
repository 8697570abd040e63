"""What an engine is: a llama-server that can be started, and the pins of those that we fetch ourselves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.errors import EngineError

# (what is being done, 0 to 1 or None while the end is not known)
Progress = Callable[[str, float | None], None]
PINS_FILE = Path(__file__).with_name("engine_pins.yaml")


@dataclass(frozen=True, slots=True)
class Engine:
    """A llama-server: the beginning of its command line, where to start it, and where it comes from."""

    name: str
    command: Sequence[str]
    folder: Path | None = None

    def environment(self) -> dict[str, str]:
        """The environment to start it in: nothing that changes its own settings behind our back.

        Its threads sleep while they wait for each other. By default they spin, and where speech wants a core
        too, each spins away the time of the one it waits for: 2000 ms a token in place of 5 on two busy cores.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLAMA_", "GGML_", "LD_", "OMP_", "GOMP_"))}
        return {**kept, "OMP_WAIT_POLICY": "passive"}

    def run(self, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run it once to the end, for ``--help`` or ``--version``.

        Raises:
            EngineError: it does not start here.
        """
        try:
            return subprocess.run(
                [*self.command, *arguments],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            reason = f"signal {-error.returncode}" if error.returncode < 0 else (error.stderr or "").strip()[-300:]
            raise EngineError(f"{self.command[-1]} does not run on this PC: {reason}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{self.command[-1]} does not run on this PC: {error}") from error

    def options(self) -> frozenset[str]:
        """The command line options that this build knows, from its help."""
        text = self.run("--help").stdout
        words = (word.strip(",") for line in text.splitlines() for word in line.split() if word.startswith("-"))
        return frozenset(words)


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One package of Debian's by name: its place below a mirror's root, and its checksums."""

    name: str
    pool: str
    sha256: str
    sha1: str = ""

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.pool.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class DebianPin:
    """Debian's packages, and the archive that keeps every package there ever was under its sha1."""

    version: str
    architecture: str
    packages: tuple[DebianPackage, ...]
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class NativePin:
    """The sdist that llama-server is built from."""

    package: str
    version: str
    file: str
    sha256: str
    tools: Sequence[str] = ()


def load_pins(path: Path = PINS_FILE) -> tuple[DebianPin, NativePin]:
    """The pinned engines of this release."""
    import yaml

    data = yaml.safe_load(path.read_text())
    packages = tuple(DebianPackage(name, **values) for name, values in data["debian"].pop("packages").items())
    return DebianPin(**data["debian"], packages=packages), NativePin(**data["native"])
