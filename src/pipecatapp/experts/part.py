"""The experts that the settings know how to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.external import load_external
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.experts.server import NoServer, ServerProbe
from pipecatapp.experts.watch import Limits
from pipecatapp.parts import Part
from pipecatapp.ports import ChatModel, EventSink, HealthSource
from pipecatapp.registration import Registration
from pipecatapp.settings import Settings, environment

# The power agent gives a wake up after this long.
WAKES_WITHIN_S = 300.0


class ExpertsPart(Part):
    """The table of experts.

    Args:
        directory: the table.
        limits: how long their servers may be silent.
    """

    def __init__(self, directory: Experts, limits: Limits) -> None:
        self.directory = directory
        self._limits = limits

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The component ``experts``."""
        return {"experts": self.directory}

    def stand_in(self, own: ChatModel | None = None, url: str = "", api_key: str = "") -> ResilientChatModel:
        """Our own model (None: there is none) with the experts behind it.

        Args:
            own: it.
            url: the OpenAI base URL of its server; empty: it has none.
            api_key: what that server wants.
        """
        if own is None:
            return ResilientChatModel(None, self.directory)
        probe = ServerProbe(url, api_key) if url else NoServer()
        # Its supervisor starts it again within seconds: it is looked at often.
        breaker = CircuitBreaker(most_s=2.0)
        return ResilientChatModel(Instance(Registration("own", url), own, probe, self._limits, breaker), self.directory)

    async def start(self) -> None:
        """Begin to look after them."""
        self.directory.start()

    async def stop(self) -> None:
        """End it."""
        await self.directory.aclose()


def create(settings: Settings, sink: EventSink, ask: Callable[[Registration], ChatModel]) -> ExpertsPart | None:
    """The experts; None where the settings name no way to find any.

    Args:
        settings: say where they are found.
        sink: where changes of the table go.
        ask: makes the model of a registration.

    Raises:
        ConfigurationError: the file of external experts is wrong.
    """
    file = settings.external_experts_file
    external = load_external(file, environment()) if file is not None else []
    if not settings.consul and not external:
        return None
    limits = Limits(settings.expert_first_token_s, settings.expert_token_s)

    def connect(registration: Registration) -> Instance:
        probe = ServerProbe(registration.url, registration.api_key)
        # The power agent says itself when a wake has failed.
        patient = replace(limits, first_token_s=limits.first_token_s + WAKES_WITHIN_S)
        return Instance(registration, ask(registration), probe, patient if registration.asleep else limits)

    return ExpertsPart(Experts(connect, sink, external, queue=settings.expert_queue), limits)
