"""A whole house for everyday requests: the shipped reflex, the real tools over a real journal in memory, moved clocks.

Only the language model is scripted: it says one sentence to whatever reaches it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path

from pipecatapp.domain import ApprovalRequest, ComponentHealth
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.summary import Summariser
from pipecatapp.ports import ChatChunk, ChatRequest
from pipecatapp.reflex.reflex import TrainedReflex
from pipecatapp.tools.choice.vectors import word_vectors
from pipecatapp.tools.list_keeper import KIND as LISTS
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.registry import TOOLS, ToolServices, create_tools
from pipecatapp.tools.undo import TakingBack
from pipecatapp.tools.volume import Loudness
from pipecatapp.vision.camera_watcher import NoCamera
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.chat_model import COMPACT, ScriptedChatModel
from testing.fakes.schedule import ScheduledHouse

MIND = "I see."


@cache
def shipped_reflex() -> TrainedReflex:
    """The reflex as it is installed, read once."""
    reflex = TrainedReflex(word_vectors().of)
    reflex.load()
    return reflex


class SayingModel(ScriptedChatModel):
    """Says the same to everything; it is the starter model by its profile, which is never asked what to remember."""

    def __init__(self) -> None:
        super().__init__(profile=COMPACT)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        self.requests.append(request)
        yield ChatChunk(MIND)
        yield ChatChunk(finish_reason="stop")


class EverydayHouse:
    """One PC that is talked to.

    Args:
        folder: for what is not in the journal.
        at: the wall time.
        zone: of this PC.
    """

    def __init__(self, folder: Path, at: str = "2026-11-25 14:30", zone: str = "Europe/Berlin") -> None:
        self.scheduled = ScheduledHouse(at, zone)  # its disk is in memory: nobody waits for a sync
        storage = self.scheduled.storage
        self.changes = storage.changes
        self.model = SayingModel()
        self.memory = FaissMemory(folder, storage.journal, storage.facts, None, summarise=Summariser(self.model))
        self._is_open = False
        self.lists = ListKeeper(storage.lists, storage.changes, clock=self.scheduled.clocks.now)
        taking_back = TakingBack(storage.changes)
        taking_back.let(LISTS, self.lists.take_back)

        async def health() -> Sequence[ComponentHealth]:
            return []

        async def model() -> str:
            return "starter"

        async def clear(conversation: str) -> None:
            """Nothing asks for it."""

        self.tools = create_tools(
            ToolServices(
                health=health, model=model, vision=NoCamera(), conversations=storage.conversations, clear=clear,
                started=0.0, memory=self.memory, taking_back=taking_back, lists=self.lists, loudness=Loudness(),
                schedule=self.scheduled.service, power_policy_file=folder / "power.json", ssh_dir=folder / "ssh",
            ),
            [name for name in TOOLS if not name.startswith(("web_browser", "code_runner", "ansible", "nodes"))],
        )  # fmt: skip
        self.harness = AgentHarness(
            folder, model=self.model, tools=self.tools.tools, off=self.tools.off, gated=True,
            conversations=storage.conversations, memory=self.memory, reflex=shipped_reflex(), changes=storage.changes,
            ringing=self.scheduled.service, clock=self.scheduled.clocks.now,
        )  # fmt: skip

    async def say(self, *words: str, conversation: str = "kitchen") -> str:
        """The answer to the last of these requests, each said behind the one before."""
        if not self._is_open:
            self._is_open = True
            await self.memory.open()
        said = ""
        for each in words:
            said = await self.harness.ask(each, conversation)
        return said

    @property
    def waiting(self) -> Sequence[ApprovalRequest]:
        """What waits for a yes."""
        return self.harness.gate.pending()

    async def stored(self) -> list[str]:
        """All that this house was told to keep: facts, things on lists, the schedule, what waits for a yes."""
        await self.harness.agent.wait_kept()
        facts = [fact.text for fact in await self.memory.facts()]
        things = [f"{each.name}: {item.text}" for each in await self.lists.all() for item in each.items]
        scheduled = [
            f"{item.kind} {item.label} {item.wall}"
            for item in self.scheduled.keeper.items("timer", "alarm", "reminder")
        ]
        changed = [change.text for change in await self.changes.latest()]
        return [*facts, *things, *scheduled, *changed, *(request.tool for request in self.waiting)]

    async def aclose(self) -> None:
        """The end of the program."""
        await self.harness.aclose()
        await self.memory.close()
        self.scheduled.close()
