"""A node of the real program on a real llama-server, for tests and benchmarks: only chosen parts run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pipecatapp.app import App, Node
from pipecatapp.errors import EngineError
from pipecatapp.llm import debian
from pipecatapp.llm.engines import Engine
from pipecatapp.settings import Settings, load_settings
from testing.fakes.gguf import write_random_model
from testing.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
ENGINES = ROOT / ".cache/engine"
STARTER = ROOT / "models/starter.gguf"
# A ceiling, no expectation: a busy machine loads slowly.
READY_WITHIN_S = 300


def starter_or_random(folder: Path) -> Path:
    """The starter model where it is trained, else a random one of its shape under its name, in this folder."""
    return STARTER if STARTER.is_file() else write_random_model(folder / "starter.gguf")


def link_engines(folder: Path, engines: Path = ENGINES) -> None:
    """Make the unpacked engines of this checkout those of an engine folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for engine in engines.resolve().glob("debian-*"):
        if not (folder / engine.name).exists():
            (folder / engine.name).symlink_to(engine)


def unpacked_engine() -> Engine:
    """The llama-server that scripts/setup unpacked.

    Raises:
        EngineError: there is none.
    """
    found = debian.installed(ENGINES)
    if found is None:
        raise EngineError(f"no engine in {ENGINES}; run: scripts/setup engine")
    return found


def engine_settings(state: Path, model: Path | str = STARTER, *, engines: Path = ENGINES, **settings: Any) -> Settings:
    """The settings of a node with an engine of its own in a fresh state folder, whatever this PC is configured for."""
    values = {"state_dir": state, "engine_port": free_port(), "llm_model": str(model), "embedding_service": "none"}
    found = load_settings(_env_file=None, **(values | settings))
    link_engines(found.engines, engines)
    return found


@asynccontextmanager
async def running(node: Node, parts: Sequence[str] = ("approvals", "engine", "memory", "twin")) -> AsyncIterator[Node]:
    """Run these parts of a node until the block ends, its engine ready from the beginning."""
    app = App(node, parts)
    await app.start()
    try:
        assert node.engine.supervisor is not None
        async with asyncio.timeout(READY_WITHIN_S):
            await node.engine.supervisor.wait_ready()
        yield node
    finally:
        await app.stop()
