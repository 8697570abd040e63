"""Keeps one llama-server alive as a child: starts, watches, restarts it, and says how it is doing.

``preparing`` (find or fetch an engine) -> ``loading`` -> ``ready`` (it answered a real one-token completion)
-> ``restarting`` (it died or hung; back-off) -> ... ; ``failed`` where a person must act; it is tried
again all the same. Every change is written to ``status.json`` for other processes. The child dies with its supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, EngineError
from pipecatapp.llm import native, sources
from pipecatapp.llm.builder import run_build
from pipecatapp.llm.child import EngineChild, Timeouts
from pipecatapp.llm.engines import Engine, Progress
from pipecatapp.llm.gguf import read_head
from pipecatapp.llm.launch import plan
from pipecatapp.llm.status import EngineStatus, read_preparation, write_status
from pipecatapp.machine import Machine, detect
from pipecatapp.storage.atomic import create_file

logger = logging.getLogger(__name__)

SNAPSHOTS_KEPT = 6


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that may be loaded: its file, the name to serve it under, the context it is worth."""

    path: Path
    alias: str
    max_context: int | None = None


class EngineSupervisor:
    """Supervises one llama-server.

    Args:
        engines: the folder of engines, log, key and status.
        models: the models to try, best first; one that does not load gives way to the next.
        host: where the engine listens.
        port: its port.
        machine: this PC, detected when not given.
        find: finds an engine, fetching one if need be; runs in a thread.
        build: build an engine for this CPU in the background; None: where it pays.
        prepared: another program fetches and builds engines (``pipecatapp engine prepare``): wait for it.
        timeouts: the waits.
    """

    def __init__(
        self,
        *,
        engines: Path,
        models: Sequence[ModelFile],
        host: str = "127.0.0.1",
        port: int = 8081,
        machine: Machine | None = None,
        find: Callable[[Path, Machine, Progress], Engine] = sources.find_engine,
        build: bool | None = None,
        prepared: bool = False,
        timeouts: Timeouts | None = None,
    ) -> None:
        if not models:
            raise ConfigurationError("there is no model to start; run: pipecatapp models pull --for-this-pc")
        self._engines = engines
        self._models = list(models)
        self._host = host
        self._port = port
        self._machine = machine or detect()
        self._find = find
        self._build = not prepared and (native.wanted(self._machine) if build is None else build)
        self._prepared = prepared
        self._timeouts = timeouts or Timeouts()
        self._damaged: dict[Path, str] = {}
        self._failures: dict[Path, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._builder: asyncio.Task[bool] | None = None
        self._changed = asyncio.Event()
        self._status = EngineStatus(
            "stopped", supervisor_pid=os.getpid(), url=self.base_url, key_file=str(self.key_file)
        )

    @property
    def base_url(self) -> str:
        """The OpenAI base URL of the engine."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def key_file(self) -> Path:
        """The file with the engine's API key (0600)."""
        return self._engines / "api.key"

    @property
    def api_key(self) -> str:
        """The engine's own API key, made at the first start."""
        return shared_key(self.key_file)

    @property
    def log_file(self) -> Path:
        """What llama-server prints."""
        return self._engines / "llama-server.log"

    @property
    def status_file(self) -> Path:
        """Where the status is written."""
        return self._engines / "status.json"

    @property
    def status(self) -> EngineStatus:
        """The state now."""
        return self._status

    async def start(self) -> None:
        """Begin; returns at once, ``health`` and ``wait_ready`` tell how far it is."""
        if self._task is None:
            self._engines.mkdir(parents=True, exist_ok=True)
            shared_key(self.key_file)
            self._task = asyncio.create_task(self._run(), name="engine supervisor")

    async def stop(self) -> None:
        """End the engine and everything else that was started."""
        tasks = [task for task in (self._task, self._builder) if task]
        self._task = self._builder = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if tasks:
            self._set(state="stopped", reason="the engine is stopped", progress=None, pid=None)

    async def wait_ready(self) -> None:
        """Wait until the engine has answered a completion.

        Raises:
            EngineError: it failed in a way that needs a person.
        """
        while not self._status.ready:
            if self._status.state == "failed":
                raise EngineError(self._status.reason)
            self._changed.clear()
            await self._changed.wait()

    async def health(self) -> ComponentHealth:
        """The status as the health of component ``engine``."""
        status = self._status
        return ComponentHealth("engine", status.ready, status.reason, status.progress)

    async def _run(self) -> None:
        backoff = self._timeouts.backoff_first
        while True:
            started = time.monotonic()
            try:
                state, reason = "restarting", await self._serve_once()
            except (EngineError, ConfigurationError) as error:
                state, reason = "failed", str(error)
            except OSError as error:
                state, reason = "failed", f"the engine could not be started: {error}"
            except Exception as error:
                # Whatever it was: nobody starts this supervisor again, and without an engine nothing is answered.
                logger.exception("the engine's supervisor stumbled")
                state, reason = "failed", f"the engine could not be started: {type(error).__name__}: {error}"
            if time.monotonic() - started > self._timeouts.steady_after:
                backoff = self._timeouts.backoff_first
            logger.warning("engine: %s; next try in %.1f s", reason, backoff)
            self._set(state=state, reason=reason, progress=None, pid=None, restarts=self._status.restarts + 1)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, self._timeouts.backoff_most)

    async def _serve_once(self) -> str:
        """One life of the engine; returns why it ended."""
        engine = await self._get_engine()
        model, note = self._pick_model()
        _check_port(self._host, self._port)
        self._set(
            state="loading", reason=f"loading {model.alias}", progress=None, engine=engine.name, model=model.alias
        )
        child = await self._spawn(engine, model)
        try:
            self._set(pid=child.pid)
            await child.until_ready(model.alias)
            self._failures.pop(model.path, None)
            self._set(state="ready", reason=note or f"{model.alias} answers", progress=None)
            logger.info("engine %s is ready with %s (pid %d)", engine.name, model.alias, child.pid)
            self._start_build(engine)
            return await child.watch()
        except EngineError as error:
            self._note_failure(model, str(error))
            return str(error)
        finally:
            await child.end()

    async def _get_engine(self) -> Engine:
        self._set(state="preparing", reason="looking for an engine", progress=None, pid=None)
        loop = asyncio.get_running_loop()

        def show(doing: str, progress: float | None) -> None:
            loop.call_soon_threadsafe(lambda: self._set(reason=doing, progress=progress))

        if self._prepared:
            engine = await asyncio.to_thread(sources.present_engine, self._engines, self._machine)
            if engine is None:
                doing, _ = read_preparation(self.status_file)
                raise EngineError(f"there is no engine here yet: {doing or 'run: sudo pipecatapp engine fetch'}")
            return engine
        try:
            return await asyncio.to_thread(self._find, self._engines, self._machine, show)
        except EngineError as error:
            logger.warning("no engine to fetch (%s), building one", error)
            if await self._run_build(foreground=True):
                return await asyncio.to_thread(self._find, self._engines, self._machine, show)
            raise EngineError(f"{error}. {self._status.build}") from error

    def _pick_model(self) -> tuple[ModelFile, str]:
        """The best model that is whole, and what to say when it is not the first choice."""
        for model in self._models:
            if model.path in self._damaged:
                continue
            try:
                read_head(model.path)
            except ConfigurationError as error:
                logger.error("%s", error)
                self._damaged[model.path] = str(error)
                continue
            wrong = next(iter(self._damaged.values()), "")
            return model, f"{model.alias} answers in place of another model: {wrong}" if wrong else ""
        reasons = "; ".join(self._damaged.values())
        # A file may be put right while we wait: look at all of them again next time.
        self._damaged.clear()
        self._failures.clear()
        raise EngineError(f"no model can be loaded: {reasons}")

    def _note_failure(self, model: ModelFile, reason: str) -> None:
        self._failures[model.path] = self._failures.get(model.path, 0) + 1
        if self._failures[model.path] >= 2 and model is not self._models[-1]:
            self._damaged[model.path] = f"{model.alias} does not load: {reason}"

    async def _spawn(self, engine: Engine, model: ModelFile) -> EngineChild:
        snapshots = self._engines / "slots"
        snapshots.mkdir(mode=0o700, exist_ok=True)
        _prune(snapshots)
        launch = plan(
            # Not where a link leads: the other parts of a split model are found by the name.
            model=model.path.absolute(),
            alias=model.alias,
            head=read_head(model.path),
            machine=self._machine,
            options=await asyncio.to_thread(engine.options),
            host=self._host,
            port=self._port,
            key_file=self.key_file.resolve(),
            slots_dir=snapshots.resolve(),
            max_context=model.max_context,
        )
        logger.info("starting %s: %d conversations of %d tokens", engine.name, launch.slots, launch.context_tokens)
        root = self.base_url.removesuffix("/v1")
        return await EngineChild.spawn(
            engine, launch.arguments, root=root, key=self.api_key, log=self.log_file, timeouts=self._timeouts
        )

    def _start_build(self, engine: Engine) -> None:
        if self._build and self._builder is None and not engine.name.startswith(("native", "path")):
            self._builder = asyncio.create_task(self._run_build(foreground=False), name="engine build")

    async def _run_build(self, *, foreground: bool) -> bool:
        """Build an engine for this CPU; whether there is one now."""

        def show(doing: str, progress: float | None) -> None:
            self._set(build=doing, build_progress=progress)
            if foreground:
                self._set(reason=doing, progress=progress)

        try:
            await run_build(self._engines, show)
        except EngineError as error:
            logger.warning("no engine was built: %s", error)
            self._set(build=f"no engine could be built: {error}", build_progress=None)
            return False
        self._set(build="an engine for this CPU is built; it takes over at the next restart", build_progress=1.0)
        return True

    def _set(self, **changes: Any) -> None:
        status = replace(self._status, **changes)
        if status != self._status:
            self._status = status
            self._changed.set()
            try:
                write_status(self.status_file, status)
            except OSError as error:
                # A full disk must not end the engine: only other processes see an old state.
                logger.error("the engine's status cannot be written to %s: %s", self.status_file, error)


def shared_key(path: Path) -> str:
    """The engine's API key, made by whoever comes first: the engine's process or the app's."""
    if not path.exists():
        create_file(path, f"{secrets.token_urlsafe(24)}\n")
    return path.read_text().strip()


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EngineError(
                f"port {port} on {host} is taken by another program; end it or set ENGINE_PORT to a free port"
            ) from error


def _prune(snapshots: Path) -> None:
    files = sorted(snapshots.glob("*.prefix"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[SNAPSHOTS_KEPT:]:
        file.unlink()
