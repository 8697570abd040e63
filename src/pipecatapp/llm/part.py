"""The language model that the settings ask for: a server of our own, somebody else's, or one inside this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor, shared_key
from pipecatapp.llm.fetching import Fetching
from pipecatapp.llm.selection import main_models
from pipecatapp.llm.sources import find_engine
from pipecatapp.llm.status import read_status
from pipecatapp.machine import detect
from pipecatapp.parts import Part
from pipecatapp.paths import models_file
from pipecatapp.ports import ChatModel, HealthSource
from pipecatapp.registration import Registration
from pipecatapp.settings import Settings


class LanguageModel(Part):
    """The model: how to ask it, how it is doing, and the process behind it where that is ours.

    Args:
        model: answers.
        source: says how it is doing.
        supervisor: the engine's, where it runs in this process.
        restarts: the engine runs on this PC, under somebody who restarts it.
        url: the server's OpenAI base URL; empty where there is none.
        api_key: what the server wants as a bearer token.
        fetching: knows which models are on their way.
    """

    def __init__(
        self,
        model: ChatModel,
        source: HealthSource,
        supervisor: EngineSupervisor | None = None,
        *,
        restarts: bool = False,
        url: str = "",
        api_key: str = "",
        fetching: HealthSource | None = None,
    ) -> None:
        self.model = model
        self.source = source
        self.supervisor = supervisor
        self.restarts = restarts
        self.url = url
        self.api_key = api_key
        self._fetching = fetching

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The components ``engine`` and, where models come to this PC, ``models``."""
        return {"engine": self.source} | ({"models": self._fetching} if self._fetching else {})

    def behind(self, model: ChatModel) -> LanguageModel:
        """The same, asked through ``model``, in which others stand in for it."""
        return LanguageModel(
            model,
            model,
            self.supervisor,
            restarts=self.restarts,
            url=self.url,
            api_key=self.api_key,
            fetching=self._fetching,
        )

    async def start(self) -> None:
        """Start the engine, where it is ours."""
        if self.supervisor is not None:
            await self.supervisor.start()

    async def stop(self) -> None:
        """End the requests, then the engine."""
        close = getattr(self.model, "aclose", None)
        if close is not None:
            await close()
        if self.supervisor is not None:
            await self.supervisor.stop()


def create(settings: Settings) -> LanguageModel | None:
    """The model of this node; None on an edge node that has only experts.

    Raises:
        ConfigurationError: there is no such model.
    """
    if settings.run_local_llm:
        return _in_process(settings)
    if settings.llm_url is not None:
        return _by_url(settings, str(settings.llm_url))
    if settings.node_role == "edge":
        return None
    supervisor = create_supervisor(settings)
    model = OpenAIChatModel(
        supervisor.base_url,
        api_key=supervisor.api_key,
        prompt_style=settings.llm_prompt_style,
        status=lambda: supervisor.status,
    )
    return LanguageModel(
        model,
        supervisor,
        supervisor,
        restarts=True,
        url=supervisor.base_url,
        api_key=supervisor.api_key,
        fetching=Fetching(settings.models),
    )


def create_supervisor(settings: Settings, *, prepared: bool = False) -> EngineSupervisor:
    """The llama-server of our own, with the models that this PC has for it.

    ``prepared``: another program fetches and builds engines.

    Raises:
        ConfigurationError: there is no such model.
    """
    machine = detect()
    catalogue = Catalogue.load(models_file(settings))
    return EngineSupervisor(
        engines=settings.engines,
        models=main_models(settings.llm_model, catalogue, settings.models, machine),
        host=settings.engine_host,
        port=settings.engine_port,
        build=settings.builds_engine,
        prepared=prepared,
        machine=machine,
        find=partial(find_engine, packages=settings.engine_package_places),
    )


def expert_model(settings: Settings) -> Callable[[Registration], ChatModel]:
    """How the model of an expert is asked."""

    def ask(registration: Registration) -> ChatModel:
        return OpenAIChatModel(
            registration.url,
            model=registration.model if registration.external else "",
            api_key=registration.api_key,
            token_timeout_s=settings.expert_first_token_s,
        )

    return ask


def _in_process(settings: Settings) -> LanguageModel:
    """A model inside this process (extra ``llama-cpp``)."""
    from pipecatapp.llm.inprocess import LlamaCppChatModel

    models = main_models(settings.llm_model, Catalogue.load(models_file(settings)), settings.models, detect())
    model = LlamaCppChatModel(models, prompt_style=settings.llm_prompt_style)
    return LanguageModel(model, model)


def _by_url(settings: Settings, url: str) -> LanguageModel:
    """A server that somebody else runs; on the installed node that is our own engine's unit."""
    ours = settings.own_engine
    status_file = settings.engines / "status.json"
    api_key = settings.llm_api_key or (shared_key(settings.engines / "api.key") if ours else "")
    model = OpenAIChatModel(
        url,
        model="" if ours or settings.llm_model == "auto" else settings.llm_model,
        api_key=api_key,
        prompt_style=settings.llm_prompt_style,
        status=(lambda: read_status(status_file)) if ours else None,
    )
    fetching = Fetching(settings.models) if ours else None
    return LanguageModel(model, model, restarts=ours, url=url, api_key=api_key, fetching=fetching)
