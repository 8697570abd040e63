"""The instances of one expert: the least busy one, the same one for a conversation, and a queue that has an end."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager

from pipecatapp.errors import ExpertBusyError
from pipecatapp.experts.instance import Instance

# Conversations whose instance is remembered.
_REMEMBERED = 1000


class Pool:
    """Hands out seats at the instances.

    Args:
        name: the expert's.
        queue: how many requests may wait for a seat.
    """

    def __init__(self, name: str, queue: int = 4) -> None:
        self.name = name
        self.waiting = 0
        self._queue = queue
        self._instances: dict[str, Instance] = {}
        self._homes: OrderedDict[str, str] = OrderedDict()
        self._changed = asyncio.Event()
        self._turnstile = asyncio.Lock()

    @property
    def instances(self) -> list[Instance]:
        """All of them, in a stable order."""
        return [self._instances[key] for key in sorted(self._instances)]

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return sum(instance.running for instance in self._instances.values())

    def set(self, instances: Iterable[Instance]) -> None:
        """These are the instances from now on."""
        self._instances = {instance.id: instance for instance in instances}
        self.wake()

    def wake(self) -> None:
        """Somebody who waits may find a seat now."""
        self._changed.set()

    def usable(self, tried: Collection[str] = ()) -> list[Instance]:
        """The instances that may be asked, without those that were tried."""
        return [i for i in self.instances if i.breaker.allows and i.id not in tried]

    @property
    def sleeps(self) -> bool:
        """Whether a request waits until it wakes: nobody else of it is awake and well."""
        usable = self.usable()
        return bool(usable) and all(instance.registration.asleep for instance in usable)

    def best(self, conversation: str, tried: Collection[str] = ()) -> Instance | None:
        """The instance that holds the conversation in its cache, else the least busy one; None: no usable one."""
        usable = self.usable(tried)
        home = self._homes.get(conversation)
        for instance in usable:
            if instance.id == home and not instance.full and not instance.registration.asleep:
                return instance
        guests = Counter(self._homes.values())
        order = {i.id: (i.registration.asleep, i.full, i.load, guests[i.id], i.id) for i in usable}
        return min(usable, key=lambda i: order[i.id], default=None)

    @asynccontextmanager
    async def seat(self, conversation: str, tried: Collection[str] = ()) -> AsyncIterator[Instance | None]:
        """A place at an instance while it answers; None when there is no usable one.

        Raises:
            ExpertBusyError: all are full, and so is the queue.
        """
        instance = await self._find(conversation, tried)
        if instance is None:
            yield None
            return
        instance.running += 1
        self._remember(conversation, instance)
        try:
            yield instance
        finally:
            instance.running -= 1
            self.wake()

    async def _find(self, conversation: str, tried: Collection[str]) -> Instance | None:
        best = self.best(conversation, tried)
        if best is None or (not best.full and not self.waiting):
            return best
        if self.waiting >= self._queue:
            raise ExpertBusyError(
                f"the {self.name} expert is full: {_many(self.running, 'request')} at work and {self.waiting} waiting"
            )
        self.waiting += 1
        try:
            async with self._turnstile:  # in the order of their coming
                while (best := self.best(conversation, tried)) is not None and best.full:
                    self._changed.clear()
                    await self._changed.wait()
                return best
        finally:
            self.waiting -= 1

    def _remember(self, conversation: str, instance: Instance) -> None:
        if not conversation:
            return
        self._homes[conversation] = instance.id
        self._homes.move_to_end(conversation)
        if len(self._homes) > _REMEMBERED:
            self._homes.popitem(last=False)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
