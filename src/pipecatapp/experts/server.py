"""What a model server says of itself beside its answers: whether it lives, and how busy it is."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import httpx

from pipecatapp.proxies import is_in_house

logger = logging.getLogger(__name__)

# llama-server tells its slots between two batches: on an old PC after seconds.
_LOAD_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """A llama-server's ``/slots``: how many, how many work, and a sign that changes while one makes progress."""

    slots: int
    busy: int
    sign: int


class ServerProbe:
    """Asks one server.

    Args:
        url: OpenAI base URL, with ``/v1``.
        api_key: bearer token, if it wants one.
        wait_s: how long it may take to say that it lives.
        transport: what carries the requests, in place of the network.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        wait_s: float = 1.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._health: str | None = None
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=wait_s,
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=not is_in_house(url),
            transport=transport,
        )

    async def alive(self) -> bool:
        """Whether anything answers there. llama-server does while it evaluates a long prompt, and while it loads."""
        try:
            response = await self._http.get(self._health or f"{self._root}/health")
            if response.status_code == httpx.codes.NOT_FOUND and self._health is None:
                self._health = f"{self._base}/models"
                response = await self._http.get(self._health)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            logger.debug("%s does not answer: %s", self._root, type(error).__name__)
            return False
        return response.status_code < httpx.codes.INTERNAL_SERVER_ERROR or (
            response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        )

    async def load(self) -> Load | None:
        """How busy it is; None where it does not say."""
        try:
            response = await self._http.get(f"{self._root}/slots", timeout=_LOAD_WITHIN_S)
            slots = response.json() if response.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None
        if not isinstance(slots, list) or not all(isinstance(slot, dict) for slot in slots) or not slots:
            return None
        working = [slot for slot in slots if slot.get("is_processing")]
        told = ("id", "id_task", "n_prompt_tokens_processed", "n_decoded", "next_token")
        return Load(len(slots), len(working), hash(repr([[slot.get(key) for key in told] for slot in working])))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


class NoServer:
    """A model inside this process: it lives as long as we do."""

    async def alive(self) -> bool:
        """It does."""
        return True

    async def load(self) -> Load | None:
        """It does not say."""
        return None
