"""A sandbox that is a Docker container: no network, a read-only root, nobody inside, removed afterwards."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.tools.output import BoundedOutput
from pipecatapp.tools.sandbox import RUNNER, Ending, Limits, RunResult
from pipecatapp.tools.seccomp import docker_profile

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

logger = logging.getLogger(__name__)

LABEL = "pipecatapp.code_runner"
_SOCKET = Path("/var/run/docker.sock")
_NOBODY = 65534
_STALE_S = 600.0  # no program is that old, unless its agent was killed
_ASK_S = 5.0  # an engine that takes longer for a first question hangs
_WORK_S = 60.0  # to make a container it may have to copy an image


class DockerSandbox:
    """Runs each program in a container of its own.

    Args:
        image: has ``python3``; it must have been pulled, nothing is downloaded here.
        url: the engine; empty: what DOCKER_HOST says, or the usual socket.

    Raises:
        ToolOffError: no engine answers, or it does not have the image.
    """

    name = "a Docker container"

    def __init__(self, image: str, url: str = "") -> None:
        self._image = image
        self._url = url or os.environ.get("DOCKER_HOST", "") or f"unix://{_SOCKET}"
        if self._url.startswith("unix://") and not _is_socket(Path(self._url.removeprefix("unix://"))):
            raise ToolOffError(f"there is no Docker engine at {self._url}")
        self._look()

    async def run(self, program: str, limits: Limits) -> RunResult:
        """Run it to its end."""
        job = _Job(self._connect, self._image, program, limits)
        working = asyncio.create_task(asyncio.to_thread(job.work))
        try:
            done, _ = await asyncio.wait({working}, timeout=limits.seconds + _WORK_S)
        finally:
            # Also when it is cancelled: the container must not stay.
            await asyncio.shield(asyncio.create_task(asyncio.to_thread(job.clear)))
        if not done:
            raise ToolError("the Docker engine hangs; run: sudo systemctl restart docker")
        return working.result()

    def _connect(self, timeout: float = _WORK_S) -> DockerClient:
        from docker import DockerClient

        return DockerClient(base_url=self._url, timeout=timeout)

    def _look(self) -> None:
        """Whether the engine answers and has the image."""
        from docker.errors import DockerException, ImageNotFound
        from requests import RequestException

        try:
            with closing(self._connect(_ASK_S)) as client:
                client.ping()
                client.images.get(self._image)
        except ImageNotFound as error:
            raise ToolOffError(
                f"Docker does not have the image {self._image}; run: docker pull {self._image}"
            ) from error
        except (DockerException, RequestException) as error:
            raise ToolOffError(f"the Docker engine at {self._url} does not answer: {_reason(error)}") from error


class _Job:
    """One program in one container, in a thread: ``work`` runs it, ``clear`` (from another thread) ends it.

    Args:
        connect: a connection to the engine.
        image: what the container is made of.
        program: Python.
        limits: what it may take.
    """

    def __init__(self, connect: Callable[[], DockerClient], image: str, program: str, limits: Limits) -> None:
        self._connect = connect
        self._image = image
        self._program = program
        self._limits = limits
        self._lock = threading.Lock()
        self._container: Container | None = None
        self._client: DockerClient | None = None
        self._stream: Any = None
        self._over = False
        self._ending: Ending = "exit"

    def work(self) -> RunResult:
        """Run the program to its end. Raises ToolError."""
        from docker.errors import DockerException, ImageNotFound
        from requests import RequestException

        try:
            return self._work()
        except ImageNotFound as error:
            raise ToolError(f"Docker does not have the image {self._image}; run: docker pull {self._image}") from error
        except (DockerException, RequestException) as error:
            raise ToolError(f"Docker could not run the program: {_reason(error)}") from error

    def clear(self) -> None:
        """Remove the container, whatever state it is in."""
        from docker.errors import DockerException, NotFound
        from requests import RequestException

        with self._lock:
            self._over = True
            container, client, stream = self._container, self._client, self._stream
        if container is not None:
            try:
                container.remove(force=True, v=True)
            except NotFound:
                logger.debug("the container was removed by somebody else")
            except (DockerException, RequestException) as error:
                logger.warning(
                    "container %s stays behind (%s); run: docker rm -f %s", container.name, error, container.id
                )
        if stream is not None:
            with suppress(OSError):
                stream.close()
        if client is not None:
            client.close()

    def _work(self) -> RunResult:
        client = self._connect()
        with self._lock:
            self._client = client
        _sweep(client)
        container = client.containers.create(self._image, **self._shape())
        with self._lock:
            self._container, over = container, self._over
        if over:  # nobody waits any more, and ``clear`` has not seen it
            container.remove(force=True, v=True)
            raise ToolError("it was stopped")
        self._stream = container.attach(stdout=True, stderr=True, stream=True, logs=False, demux=True)
        out, err = BoundedOutput(), BoundedOutput()
        container.start()
        clock = threading.Timer(self._limits.seconds, self._end, args=("time",))
        clock.start()
        try:
            for stdout, stderr in self._stream:
                # Taken to the end, or the engine could not end the container.
                if self._ending == "output":
                    continue
                out.add(stdout or b"")
                err.add(stderr or b"")
                if out.total + err.total > self._limits.printed_bytes:
                    self._ending = "output"
                    threading.Thread(target=self._end, args=("output",)).start()
            code = int(container.wait(timeout=_WORK_S)["StatusCode"])
        finally:
            clock.cancel()
        container.reload()
        if self._ending == "exit" and container.attrs["State"].get("OOMKilled"):
            self._ending = "memory"
        return RunResult(self._ending, code, out.text(), err.text())

    def _end(self, why: Ending) -> None:
        """Kill the program because of this; its output then ends."""
        from docker.errors import APIError
        from requests import RequestException

        self._ending = why
        if self._container is None:
            return
        try:
            self._container.kill()
        except APIError:
            logger.debug("the program ended by itself just now")
        except RequestException as error:
            logger.warning("container %s cannot be ended: %s", self._container.name, _reason(error))

    def _shape(self) -> dict[str, Any]:
        from docker.types import LogConfig, Ulimit

        limits = self._limits
        most = {
            **{"core": 1, "cpu": int(limits.seconds) + 1, "fsize": limits.files_bytes, "nofile": limits.open_files},
            **{"memlock": 0, "msgqueue": 0, "sigpending": 64},
        }
        tmp = f"rw,nosuid,nodev,noexec,size={limits.files_bytes},nr_inodes={limits.files},mode=1777"
        return {
            "entrypoint": ["python3"],
            "command": ["-I", "-c", RUNNER, self._program],
            "user": f"{_NOBODY}:{_NOBODY}",
            "network_mode": "none",
            "network_disabled": True,
            "read_only": True,
            # multiprocessing, whose thread pool is of use, keeps its locks in /dev/shm.
            "tmpfs": {"/tmp": tmp, "/dev/shm": "rw,nosuid,nodev,noexec,size=64k,nr_inodes=16,mode=1777"},  # noqa: S108
            "ipc_mode": "none",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges", f"seccomp={docker_profile()}"],
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "pids_limit": limits.threads + 1,
            "ulimits": [Ulimit(name=name, soft=value, hard=value) for name, value in most.items()],
            "oom_score_adj": 1000,
            "working_dir": "/tmp",  # noqa: S108
            "environment": {"HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},  # noqa: S108
            "hostname": "sandbox",
            # What is printed goes to us alone: the engine's own log would fill the disk.
            "log_config": LogConfig(type="none"),
            "labels": {LABEL: ""},
        }


def _sweep(client: DockerClient) -> None:
    """Remove what a killed agent left behind."""
    from docker.errors import APIError

    for container in client.containers.list(all=True, sparse=True, filters={"label": LABEL}):
        if float(container.attrs.get("Created", 0)) < time.time() - _STALE_S:
            with suppress(APIError):  # somebody else removes it just now
                container.remove(force=True)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _reason(error: Exception) -> str:
    """The engine's own words where it has some."""
    text = str(getattr(error, "explanation", "") or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
