"""Which llama-server slot belongs to which conversation, so that each keeps its prefix cache.

Left to itself llama-server picks the slot whose prompt looks most alike; two conversations with the same
system message then evict each other. Here a conversation keeps its slot until more conversations than slots talk.

A slot that changes hands starts with the system message already evaluated: its state is saved once under the
server's ``--slot-save-path`` and restored in milliseconds, also after a restart. On a Core 2 that saves minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from pipecatapp.domain import Message, Usage
from pipecatapp.llm.wire import json_events, parse_object, usage

logger = logging.getLogger(__name__)

# Restoring costs about as much as evaluating fewer tokens than this.
SNAPSHOT_MIN_CHARACTERS = 200
# When old turns are cut out of a prompt, the server moves what it holds of the turns behind them instead of evaluating
# them again, in runs of at least so many tokens. On a Core 2 that saves half a minute of silence.
REUSED_AT_LEAST = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """One request's use of a slot: what to send along, and the tokens that were evaluated to warm it up."""

    parameters: dict[str, Any]
    warmed_tokens: int = 0

    def charge(self, usage: Usage | None) -> Usage | None:
        """The request's counts with the warm-up in them: it was evaluated, not found in the cache."""
        if usage is None:
            return None
        return replace(usage, cached_tokens=max(0, usage.cached_tokens - self.warmed_tokens))


class SlotTable:
    """The slots of one running llama-server.

    Args:
        http: the client to ask with.
        root: the server's URL without ``/v1``.
        props: its ``/props``.
    """

    def __init__(self, http: httpx.AsyncClient, root: str, props: Mapping[str, Any]) -> None:
        self._http = http
        self._root = root
        self._count = max(1, int(props.get("total_slots") or 1))
        self._identity = f"{props.get('model_path')}|{props.get('build_info')}|{props.get('chat_template')}"
        self._owners: OrderedDict[str, int] = OrderedDict()
        self._busy: Counter[int] = Counter()
        self._warming: dict[int, asyncio.Lock] = {}
        self._warm: dict[int, str] = {}
        self._snapshots = True

    @asynccontextmanager
    async def use(self, key: str, messages: Sequence[Message]) -> AsyncIterator[Slot]:
        """Send a conversation to its slot, warmed up with its system message."""
        slot = self._assign(key)
        self._busy[slot] += 1
        try:
            evaluated = await self._prepare(slot, key, messages)
            yield Slot({"id_slot": slot, "cache_prompt": True, "n_cache_reuse": REUSED_AT_LEAST}, evaluated)
        finally:
            self._busy[slot] -= 1

    def _assign(self, key: str) -> int:
        if key in self._owners:
            self._owners.move_to_end(key)
            return self._owners[key]
        free = set(range(self._count)) - set(self._owners.values())
        if free:
            slot = min(free)
        else:
            idle = [owner for owner, slot in self._owners.items() if not self._busy[slot]]
            slot = self._owners.pop(idle[0] if idle else next(iter(self._owners)))
        self._owners[key] = slot
        return slot

    async def _prepare(self, slot: int, key: str, messages: Sequence[Message]) -> int:
        system = messages[0].content if messages and messages[0].role == "system" else ""
        async with self._warming.setdefault(slot, asyncio.Lock()):
            if self._warm.get(slot) == key:
                return 0
            evaluated = 0
            if self._snapshots and len(system) >= SNAPSHOT_MIN_CHARACTERS:
                evaluated = await self._load_system(slot, system)
            self._warm[slot] = key
            return evaluated

    async def _load_system(self, slot: int, system: str) -> int:
        """Put the evaluated system message into the slot; the number of tokens that had to be evaluated."""
        name = hashlib.sha256(f"{self._identity}|{system}".encode()).hexdigest()[:32] + ".prefix"
        restored = await self._http.post(f"{self._root}/slots/{slot}?action=restore", json={"filename": name})
        if restored.status_code == httpx.codes.OK:
            return 0
        if restored.status_code in (httpx.codes.NOT_IMPLEMENTED, httpx.codes.NOT_FOUND):
            logger.debug("this llama-server saves no slots: %s", restored.text[:200])
            self._snapshots = False
            return 0
        body = {"messages": [{"role": "system", "content": system}]}
        template = await self._http.post(f"{self._root}/apply-template", json=body)
        prompt = str(parse_object(template.content).get("prompt", "")) if template.status_code == httpx.codes.OK else ""
        end = prompt.rfind(system.strip())
        if end < 0:
            logger.debug("the chat template does not carry a system message alone; no snapshot")
            self._snapshots = False
            return 0
        prompt = prompt[: end + len(system.strip())]
        request = {"prompt": prompt, "n_predict": 0, "cache_prompt": True, "id_slot": slot, "stream": True}
        async with self._http.stream("POST", f"{self._root}/completion", json=request) as response:
            counts = [usage(event) async for event in json_events(response.aiter_bytes())]
        saved = await self._http.post(f"{self._root}/slots/{slot}?action=save", json={"filename": name})
        if saved.status_code != httpx.codes.OK:
            logger.info("the engine could not save the evaluated system message: %s", saved.text[:200])
            self._snapshots = False
        return sum(count.evaluated_tokens for count in counts if count)
