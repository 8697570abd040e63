"""What the ranks of an expert tell each other: what a machine has, what it runs now, and the plan that all follow."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipecatapp.expert_host.spec import EngineKind
from pipecatapp.llm.weights import ModelWeights
from pipecatapp.machine import CpuClass

# A name could be looked up to mean another machine, and a command line is made of it.
Address = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]


class _Told(BaseModel):
    """A value that goes over the network: what is not understood is refused where it arrives."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HeldModel(_Told):
    """A model whose files are all here, and are those that they should be.

    Attributes:
        sums: the sha256 of each file, by name.
    """

    sums: Mapping[str, str]
    weights: ModelWeights


class NodeFacts(_Told):
    """What one machine has for the expert now.

    Attributes:
        free_mb: memory that an engine could have: what is free, and what the expert's own engine has.
        disk_mb_s: how fast its disk reads, in MB a second; 0: nobody knows.
        link_mbit_s: how fast its network is; 0: nobody knows.
        programs: what identifies the programs of each engine that can be used here.
        models: those that are here.
        faults: what is wrong with a model or a program that should be here, by name.
    """

    name: str
    free_mb: int = 0
    cpu: CpuClass = CpuClass.CORE2
    cores: int = 1
    disk_mb_s: float = 0.0
    link_mbit_s: int = 0
    programs: Mapping[EngineKind, str] = {}
    models: Mapping[str, HeldModel] = {}
    faults: Mapping[str, str] = {}


class Phase(StrEnum):
    """What a rank does."""

    LOOKING = "looking"  # at its own files
    WAITING = "waiting"  # for a plan, or a plan without it
    FETCHING = "fetching"  # a model from a peer
    LOADING = "loading"  # the engine is started
    READY = "ready"  # the head: tokens came; another rank: its part of the engine runs
    REFUSED = "refused"  # before anything was started
    LOST = "lost"  # the engine ended, or makes no tokens
    LEFT = "left"  # it ended by itself with 0, as a rank does that a ring does without
    ENDED = "ended"  # orderly

    @property
    def over(self) -> bool:
        """Whether this part of the group will not do its work any more."""
        return self in (Phase.REFUSED, Phase.LOST)


class Member(_Told):
    """A rank's part in a plan.

    Attributes:
        run: the run of the supervisor that is meant.
        layers: how many it computes.
        need_mb: memory that its part takes.
    """

    rank: int = Field(ge=0)
    run: str
    name: str
    host: Address
    data: int = Field(gt=0, lt=65536)
    signal: int = Field(gt=0, lt=65536)
    layers: int = Field(ge=0)
    need_mb: int = Field(ge=0)


class Plan(_Told):
    """Who does what. The rank that coordinates writes it, all follow it; a new one ends whatever ran before.

    Attributes:
        generation: names the plan.
        author: the run of the supervisor that wrote it.
        members: those that take part, the one that serves first; empty: all end what they run.
        load_within_s: how long loading may take.
        token_within_s: how long one token may take.
    """

    generation: str
    author: str
    model: str = ""
    engine: EngineKind = EngineKind.PLAIN
    members: tuple[Member, ...] = ()
    context: Annotated[int, Field(ge=0)] = 0
    load_within_s: Annotated[float, Field(gt=0)] = 600.0
    token_within_s: Annotated[float, Field(gt=0)] = 30.0
    why: str = ""

    def member(self, rank: int) -> Member | None:
        """A rank's part, None where it has none."""
        return next((member for member in self.members if member.rank == rank), None)

    @property
    def head(self) -> Member | None:
        """Who serves."""
        return self.members[0] if self.members else None


class RankState(_Told):
    """What a rank says of itself on its control port.

    Attributes:
        run: names this run of its supervisor.
        plan: the generation that it follows.
        since: seconds since the phase began.
        busy: whether requests are being worked on.
        tokens_ok: how many times its engine was seen to make tokens.
        was_ready: whether the engine of this plan has ever made one.
    """

    rank: int = Field(ge=0)
    run: str
    host: Address
    data: int = Field(gt=0, lt=65536)
    signal: int = Field(gt=0, lt=65536)
    facts: NodeFacts
    plan: str = ""
    phase: Phase = Phase.LOOKING
    why: str = ""
    model: str = ""
    engine: str = ""
    windows: tuple[int, ...] = ()
    since: float = 0.0
    busy: bool = False
    tokens_ok: int = 0
    was_ready: bool = False
