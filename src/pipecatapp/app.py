"""A node: which parts it has (``NODE_ROLE``), how they come to know each other, in which order they start and stop.

Each package makes its own part (``part.py``); here they are only introduced to one another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cached_property

from pipecatapp import __version__
from pipecatapp.cluster import part as cluster_part
from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, ModelError, PipecatAppError, StartError
from pipecatapp.experts import part as experts_part
from pipecatapp.hub import EventHub
from pipecatapp.llm import part as llm_part
from pipecatapp.memory import part as memory_part
from pipecatapp.memory.embedding import MODEL_NAME
from pipecatapp.parts import Part
from pipecatapp.ports import HealthSource
from pipecatapp.reflex import part as reflex_part
from pipecatapp.routing import part as routing_part
from pipecatapp.schedule import part as schedule_part
from pipecatapp.settings import Settings
from pipecatapp.speed import part as speed_part
from pipecatapp.storage import part as storage_part
from pipecatapp.tools import part as tools_part
from pipecatapp.tools.choice.chooser import MeaningChooser
from pipecatapp.tools.choice.vectors import word_vectors
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.undo import TakingBack
from pipecatapp.tools.volume import Loudness
from pipecatapp.twin import part as twin_part
from pipecatapp.vision import part as vision_part
from pipecatapp.voice import part as voice_part
from pipecatapp.web import part as web_part
from pipecatapp.web.health import HealthBoard

logger = logging.getLogger(__name__)

# In the order in which they start; they stop the other way round. The page is there first and until the end, a turn
# ends before whatever it uses.
_ANSWERING = (
    "storage", "log", "approvals", "schedule", "web", "experts", "routing", "reflex", "cluster", "engine", "memory",
    "tools", "twin", "voice", "vision", "turns", "bell", "serving",
)  # fmt: skip
ROLES = {"standalone": _ANSWERING, "edge": _ANSWERING}
# What /health and the page list, in this order.
_REPORTING = ("engine", "storage", "voice", "memory", "tools", "experts", "vision")


class Node:
    """The parts of one node. Each is made when somebody first asks for it; None: the settings want none.

    A test or benchmark that needs only some of them takes those, and may put one of its own in before.
    """

    def __init__(self, settings: Settings) -> None:
        check_supported(settings)
        self.settings = settings
        self._started = time.monotonic()

    @cached_property
    def storage(self) -> storage_part.Storage:
        """What lies in the state folder."""
        storage = storage_part.create(self.settings)
        storage.on_leading(self._reread)
        return storage

    async def _reread(self, whole: bool) -> None:
        """This PC is the active one now: what lies in memory is what others wrote."""
        if whole:
            await self.memory.facts.reread()
        await self.approvals.gate.reread()
        await self.schedule.service.keeper.reread()
        await self.twin.agent.reread_all()

    @cached_property
    def hub(self) -> EventHub:
        """Where every event goes."""
        return EventHub(self.storage.events, version=__version__)

    @cached_property
    def log(self) -> web_part.LogPart:
        """The log on the page."""
        return web_part.LogPart(self.hub)

    @cached_property
    def approvals(self) -> twin_part.ApprovalsPart:
        """The gate in front of what acts."""
        kept = self.storage
        return twin_part.create_approvals(self.settings, kept.approvals, kept.audit, kept.audit.verify, self.hub)

    @cached_property
    def schedule(self) -> schedule_part.SchedulePart:
        """Timers, alarms and reminders."""
        kept = self.storage
        return schedule_part.create(self.settings, kept.schedule, lambda: kept.state == "standby")

    @cached_property
    def experts(self) -> experts_part.ExpertsPart | None:
        """Other models that answer, or stand in for ours."""
        return experts_part.create(self.settings, self.hub, llm_part.expert_model(self.settings))

    @cached_property
    def routing(self) -> routing_part.RoutingPart | None:
        """What knows clear cases for an expert."""
        if self.experts is None:
            return None
        meanings = memory_part.create_meanings(self.settings.models / MODEL_NAME)
        return routing_part.create(self.settings, meanings)

    @cached_property
    def reflex(self) -> reflex_part.ReflexPart:
        """What decides clear requests."""
        return reflex_part.create(self.settings, word_vectors().of)

    @cached_property
    def cluster(self) -> cluster_part.ClusterPart | None:
        """What finds experts."""
        return cluster_part.create(self.settings, self.experts.directory.update) if self.experts is not None else None

    @cached_property
    def engine(self) -> llm_part.LanguageModel:
        """The language model."""
        own = llm_part.create(self.settings)
        if self.experts is None:
            if own is None:
                raise ConfigurationError("this node has neither a language model nor experts; set LLM_URL")
            return own
        if own is None:
            model = self.experts.stand_in()
            return llm_part.LanguageModel(model, model)
        return own.behind(self.experts.stand_in(own.model, own.url, own.api_key))

    @cached_property
    def memory(self) -> memory_part.MemoryPart:
        """Long-term memory."""
        return memory_part.create(self.settings, self.storage, self.engine.model, self.hub)

    @cached_property
    def vision(self) -> vision_part.VisionPart:
        """The camera: after the voice, on an old PC the libraries of each take seconds to load."""
        part = vision_part.create(self.settings, self.hub, lambda: self.voice.loaded())
        self.hub.add_listener(part.attention.observe)
        return part

    @cached_property
    def board(self) -> HealthBoard:
        """The health of everything."""
        sources: dict[str, HealthSource] = {}
        for name in _REPORTING:
            part: Part | None = getattr(self, name)
            sources |= part.health if part is not None else {}
        return HealthBoard(sources, self.hub)

    @cached_property
    def taking_back(self) -> TakingBack:
        """What takes back what tools have changed."""
        return TakingBack(self.storage.changes)

    @cached_property
    def lists(self) -> ListKeeper:
        """What changes the lists."""
        return ListKeeper(self.storage.lists, self.storage.changes)

    @cached_property
    def loudness(self) -> Loudness:
        """How loud the voice is."""
        return Loudness()

    @cached_property
    def tools(self) -> tools_part.ToolsPart:
        """What the model can use."""

        async def health() -> Sequence[ComponentHealth]:
            return await self.board.fresh()

        async def clear(conversation: str) -> None:
            await self.twin.agent.clear(conversation)

        async def model() -> str:
            try:
                return (await self.engine.model.profile()).name
            except ModelError:
                return ""

        return tools_part.create(
            self.settings,
            health=health,
            model=model,
            vision=self.vision.watcher,
            conversations=self.storage.conversations,
            clear=clear,
            memory=self.memory.facts,
            taking_back=self.taking_back,
            lists=self.lists,
            loudness=self.loudness,
            tools=lambda: self.twin.agent.tools,
            schedule=self.schedule.service,
            started=self._started,
        )

    @cached_property
    def twin(self) -> twin_part.TwinPart:
        """The brain. What is forgotten leaves its open conversations too."""
        twin = twin_part.create(
            self.settings,
            self.engine.model,
            self.hub,
            tools=self.tools.own.tools,
            off=self.tools.own.off,
            off_specs=self.tools.own.off_specs,
            sources=self.tools.sources,
            chooser=MeaningChooser(),
            conversations=self.storage.conversations,
            memory=self.memory.facts,
            gate=self.approvals.gate,
            observe=self.vision.watcher.glance,
            experts=self.experts.directory if self.experts is not None else None,
            classifier=self.routing.classifier if self.routing is not None else None,
            reflex=self.reflex.reflex,
            changes=self.storage.changes,
            ringing=self.schedule.service,
            restarts_engine=self.engine.restarts,
        )

        self.memory.facts.erase_also(twin.agent.erase)
        return twin

    @cached_property
    def turns(self) -> twin_part.TurnsPart:
        """The queue of turns."""
        return twin_part.create_turns(self.settings, self.twin.agent, self.hub)

    @cached_property
    def bell(self) -> schedule_part.BellPart:
        """What lets rings be heard."""
        part = schedule_part.create_bell(self.schedule, self.turns.runner, self.hub, self.hub.is_watched)
        self.hub.add_listener(part.bell.observe)
        return part

    @cached_property
    def voice(self) -> voice_part.VoicePart:
        """Hearing and speaking."""
        return voice_part.create(self.settings, self.twin.agent, self.turns.runner, self.hub, self.loudness)

    @cached_property
    def web(self) -> web_part.WebPart:
        """The page and the APIs."""
        facts, agent = self.memory.facts, self.twin.agent
        return web_part.create(
            self.settings,
            hub=self.hub,
            storage=self.storage,
            agent=agent,
            runner=self.turns.runner,
            voice=self.voice,
            memory=facts,
            lists=self.lists,
            schedule=self.schedule.service,
            taking_back=self.taking_back,
            states=memory_part.create_states(facts, self.storage, agent.reread),
            camera=self.vision.watcher,
            experts=self.experts.directory if self.experts is not None else None,
            house=cluster_part.create_watch(self.settings),
            speeds=speed_part.create_speeds(self.settings),
            board=self.board,
        )

    @cached_property
    def serving(self) -> web_part.ServingPart:
        """What tells other processes where the page is."""
        return web_part.create_serving(self.settings, self.web.servers)


class App:
    """One node's program. What is wrong with the settings is raised when it is made, before anything runs.

    Args:
        node: knows how its parts are made.
        names: the parts to run, in the order in which they start; without it those of the node's role.
    """

    def __init__(self, node: Node, names: Sequence[str] | None = None) -> None:
        found: dict[str, Part | None] = {name: getattr(node, name) for name in names or ROLES[node.settings.node_role]}
        self._parts = {name: part for name, part in found.items() if part is not None}
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Start the parts; returns when the page can be opened, engine and voice go on loading behind it.

        Raises:
            ConfigurationError: a part cannot do what the settings say.
            StartError: a part is broken; it is named. Those that had started are stopped again.
        """
        async with AsyncExitStack() as started:
            for name, part in self._parts.items():
                started.push_async_callback(_stop, name, part)
                await _start(name, part)
            self._running = started.pop_all()

    async def stop(self) -> None:
        """Stop the parts that started, the last one first."""
        await self._running.aclose()


async def _start(name: str, part: Part) -> None:
    try:
        await part.start()
    except PipecatAppError:
        raise
    except Exception as error:
        logger.exception("the part %s cannot be started", name)
        raise StartError(f"the part {name!r} cannot be started: {str(error) or type(error).__name__}") from error


async def _stop(name: str, part: Part) -> None:
    """A part that cannot be stopped is logged, and does not keep the others from being stopped."""
    began = time.monotonic()
    try:
        await part.stop()
    except Exception:
        logger.exception("ending the %s failed", name)
    logger.debug("%s ended after %.2f s", name, time.monotonic() - began)


def check_supported(settings: Settings) -> None:
    """Refuse what this release cannot do yet: a setting is never ignored.

    Raises:
        ConfigurationError: names the setting and what to do.
    """
    later = [
        (settings.tool_mode == "remote", "TOOL_MODE=remote", "there is no tool server yet; set TOOL_MODE=local"),
        (settings.node_role not in ROLES, f"NODE_ROLE={settings.node_role}",
         "there are no experts to serve yet; set NODE_ROLE=standalone"),
    ]  # fmt: skip
    problems = [f"  {name}: {advice}" for wrong, name, advice in later if wrong]
    if problems:
        raise ConfigurationError("this release does not support:\n" + "\n".join(problems))
