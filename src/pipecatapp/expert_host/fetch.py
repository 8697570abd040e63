"""Brings a model that is missing here from a peer: by its checksum, going on where an earlier try stopped."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from pipecatapp.errors import DownloadError
from pipecatapp.expert_host.board import Peer
from pipecatapp.expert_host.spec import ModelWish
from pipecatapp.llm.download import NO_IDLE_CONNECTIONS, Downloader

logger = logging.getLogger(__name__)

_TELL_EVERY_S = 10.0


class _GivenUpError(Exception):
    """The program ends, or the plan has changed."""


async def fetch_model(
    wish: ModelWish,
    models_dir: Path,
    sums: Mapping[str, str],
    peers: Sequence[Peer],
    key: str,
    tell: Callable[[str], None],
) -> None:
    """Have all files of a model here.

    Args:
        wish: the model.
        models_dir: where models lie.
        sums: the sha256 of each file, by name.
        peers: who has it, asked in this order.
        key: the expert's API key.
        tell: told how far it is.

    Raises:
        DownloadError: nobody could give it.
    """
    given_up = threading.Event()
    work = asyncio.create_task(asyncio.to_thread(_fetch, wish, models_dir, sums, peers, key, tell, given_up))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        # The thread sees it with the next bytes; what it has so far is kept.
        given_up.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def _fetch(
    wish: ModelWish,
    models_dir: Path,
    sums: Mapping[str, str],
    peers: Sequence[Peer],
    key: str,
    tell: Callable[[str], None],
    given_up: threading.Event,
) -> None:
    # A peer that stands still is left after this time, and the next one goes on where it stopped.
    timeout = httpx.Timeout(30.0, connect=5.0)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(timeout=timeout, limits=NO_IDLE_CONNECTIONS, headers=headers, trust_env=False) as http:
        downloader = Downloader(http)
        told = 0.0

        for path in wish.paths(models_dir):

            def progress(here: int, total: int | None, name: str = path.name) -> None:
                nonlocal told
                if given_up.is_set():
                    raise _GivenUpError
                if time.monotonic() - told >= _TELL_EVERY_S:
                    told = time.monotonic()
                    part = f" ({here / total:.0%})" if total else ""
                    tell(f"{name}: {here >> 20} MB are here{part}")
                    logger.info("%s: %d MB are here%s", name, here >> 20, part)

            _bring(downloader, wish, path, sums.get(path.name, ""), peers, progress)


def _bring(
    downloader: Downloader,
    wish: ModelWish,
    path: Path,
    sha256: str,
    peers: Sequence[Peer],
    progress: Callable[[int, int | None], None],
) -> None:
    reasons = []
    for peer in peers:
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        try:
            downloader.fetch(
                f"http://{host}:{peer.port}/models/{wish.name}/{path.name}", path, sha256, progress, wish.size
            )
        except DownloadError as error:
            reasons.append(f"rank {peer.rank}: {error}")
        else:
            return
    raise DownloadError(f"{path.name} cannot be had from the others: {'; '.join(reasons) or 'nobody has it'}")
