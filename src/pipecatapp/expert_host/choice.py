"""Which engine runs which model on which machines, and why. A pure function of what is there.

In the order of the list, each model on the first of these that can hold it: one machine alone, always the fastest; an
RPC group of as few machines as hold it; a ring that reads the rest from disk, for architectures that prima.cpp knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipecatapp.expert_host.facts import HeldModel, NodeFacts
from pipecatapp.expert_host.forecast import tokens_per_second
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, ModelWish
from pipecatapp.expert_host.windows import spread, windows
from pipecatapp.llm.weights import ModelWeights

RING_ARCHITECTURES = ("llama", "qwen2")
# Of the memory that a machine has free after the reserve, what a part of a model may take: the rest is for the numbers
# between the layers. With it a mixture of 30 billion weights in Q4_0 just fits three PCs of 8 GB.
HEADROOM = 0.95
# A ring reads at most this part of the model from disk for each token: beyond it a smaller model is better company.
MOST_FROM_DISK = 0.5

# And it makes at least so many tokens a second: a word each three seconds. A hard disk that must read a gigabyte for
# each token does not.
SLOWEST_RING = 0.4

# Model and engine that are passed over for now, with the reason.
Blocked = Mapping[tuple[str, EngineKind], str]


@dataclass(frozen=True, slots=True)
class Share:
    """A rank's part: its layers, and the bytes of memory that they take with their cache."""

    rank: int
    layers: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What shall run. The first share is the rank that serves."""

    model: str
    engine: EngineKind
    shares: tuple[Share, ...]
    context: int
    tokens_per_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The choice, None where nothing can run; and why each better one was passed over, in words."""

    choice: Choice | None
    passed_over: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """In one sentence."""
        said = "; ".join(self.passed_over)
        if self.choice is None:
            return f"no model of the list can run: {said}"
        return f"{self.choice.why} ({said})" if said else self.choice.why


@dataclass(slots=True)
class _Candidate:
    """A model on the machines that suit it."""

    spec: ExpertSpec
    wish: ModelWish
    weights: ModelWeights
    nodes: Mapping[int, NodeFacts]
    context: int
    reasons: list[str] = field(default_factory=list)

    @property
    def cache(self) -> int:
        return self.weights.kv_bytes_per_token * self.context * self.spec.parallel

    def room(self, rank: int) -> int:
        return max(0, self.nodes[rank].free_mb - self.spec.reserve_mb) << 20

    def layers(self) -> list[int]:
        """The bytes of each, with its part of the cache."""
        each = self.cache // max(1, self.weights.layers)
        return [size + each for size in self.weights.layer_bytes]


def choose(spec: ExpertSpec, nodes: Mapping[int, NodeFacts], blocked: Blocked | None = None) -> Verdict:
    """The best that can run on these machines.

    Args:
        spec: the expert.
        nodes: what each rank has, by rank.
        blocked: what failed lately.
    """
    passed: list[str] = []
    for wish in spec.models:
        held = _held(wish, nodes)
        if held is None:
            faults = sorted({fault for node in nodes.values() if (fault := node.faults.get(wish.name))})
            passed.append(f"{wish.name}: {'; '.join(faults) or 'no machine has its file'}")
            continue
        other = sorted(rank for rank, node in nodes.items() if _is_other_file(node.models.get(wish.name), held))
        suiting = {rank: node for rank, node in nodes.items() if node.cpu.at_least(wish.cpu) and rank not in other}
        context = spec.context_of(wish, held.weights.context_tokens)
        candidate = _Candidate(spec, wish, held.weights, suiting, context)
        if other:
            names = ", ".join(nodes[rank].name for rank in other)
            candidate.reasons.append(f"{names}: another file under the name of {wish.name} than the first machine's")
        if old := [node.name for _, node in sorted(nodes.items()) if not node.cpu.at_least(wish.cpu)]:
            candidate.reasons.append(f"{', '.join(old)}: a CPU older than {wish.cpu}")
        for engine, attempt in ((EngineKind.PLAIN, _plain), (EngineKind.RPC, _rpc), (EngineKind.RING, _ring)):
            if engine not in spec.engines or not suiting:
                continue
            if blocked and (reason := blocked.get((wish.name, engine))):
                candidate.reasons.append(f"{engine}: {reason}")
            elif (choice := attempt(candidate)) is not None:
                return Verdict(choice, (*passed, *(f"{wish.name}: {reason}" for reason in candidate.reasons)))
        passed.append(f"{wish.name}: {'; '.join(candidate.reasons) or 'no engine is allowed'}")
    return Verdict(None, tuple(passed))


def _held(wish: ModelWish, nodes: Mapping[int, NodeFacts]) -> HeldModel | None:
    return next((held for _, node in sorted(nodes.items()) if (held := node.models.get(wish.name))), None)


def _is_other_file(mine: HeldModel | None, first: HeldModel) -> bool:
    """Where nobody said which file it should be, the first machine's is the one."""
    return mine is not None and mine.sums != first.sums


def _plain(model: _Candidate) -> Choice | None:
    need = model.weights.size + model.cache
    able = [rank for rank in model.nodes if EngineKind.PLAIN in model.nodes[rank].programs]
    holding = [rank for rank in able if model.room(rank) >= need]
    if not holding:
        most = max((model.room(rank) for rank in able), default=0)
        model.reasons.append(
            f"no machine holds its {_mb(need)} MB alone, the largest has {_mb(most)} MB for it"
            if able
            else "no machine has llama-server"
        )
        return None
    # The first rank where it can: the others are then free for other work. Else the one with the most room.
    rank = 0 if 0 in holding else max(holding, key=lambda rank: (model.room(rank), -rank))
    node = model.nodes[rank]
    idle = len(model.nodes) - 1
    return Choice(
        model.wish.name,
        EngineKind.PLAIN,
        (Share(rank, model.weights.layers, need),),
        model.context,
        tokens_per_second([(node, model.weights.bytes_per_token, 0)]),
        f"{model.wish.name} runs on {node.name} alone, which holds it: nothing is faster"
        + (f"; {idle} other machine{'s' if idle > 1 else ''} of the expert idle" if idle else ""),
    )


def _rpc(model: _Candidate) -> Choice | None:
    able = _of_one_build(model, EngineKind.RPC)
    if len(able) < 2:
        model.reasons.append("no two machines have the same RPC server")
        return None
    fixed = model.weights.input_bytes + model.weights.output_bytes
    head = 0 if 0 in able else max(able, key=model.room)
    others = sorted((rank for rank in able if rank != head), key=lambda rank: (-model.room(rank), rank))
    layers = model.layers()
    for count in range(1, len(others) + 1):
        # As few as hold it: each further machine is one more hop for each token.
        ranks = [head, *others[:count]]
        rooms = [int(model.room(rank) * HEADROOM) for rank in ranks]
        rooms[0] -= fixed
        counts = spread(layers, rooms)
        if counts is None or rooms[0] < 0:
            continue
        shares, first = [], 0
        for rank, layers_here in zip(ranks, counts, strict=True):
            taken = sum(layers[first : first + layers_here]) + (fixed if rank == head else 0)
            shares.append(Share(rank, layers_here, taken))
            first += layers_here
        group = tuple(share for share in shares if share.layers or share.rank == head)
        if len(group) < 2:
            continue
        names = ", ".join(f"{model.nodes[share.rank].name} {share.layers}" for share in group)
        return Choice(
            model.wish.name,
            EngineKind.RPC,
            group,
            model.context,
            tokens_per_second(_reads(model, group, 0.0)),
            f"{model.wish.name} runs on {len(group)} machines over RPC, layers: {names}",
        )
    model.reasons.append(
        f"{len(able)} machines together have {_mb(sum(model.room(rank) for rank in able))} MB for its "
        f"{_mb(sum(layers) + fixed)} MB"
    )
    return None


def _ring(model: _Candidate) -> Choice | None:
    name, weights = model.wish.name, model.weights
    if weights.architecture not in RING_ARCHITECTURES or weights.experts:
        model.reasons.append(f"prima.cpp does not know the architecture {weights.architecture}")
        return None
    if weights.parts > 1:
        model.reasons.append("prima.cpp wants it in one file")
        return None
    able = [rank for rank in sorted(_of_one_build(model, EngineKind.RING)) if model.room(rank) > 0]
    if len(able) < 2 or len(able) > weights.layers:
        model.reasons.append("no two machines have the same prima.cpp and memory for it")
        return None
    rooms = [model.room(rank) for rank in able]
    need = sum(model.layers()) + weights.input_bytes + weights.output_bytes
    if sum(rooms) < need * (1 - MOST_FROM_DISK):
        model.reasons.append(f"a ring of {len(able)} has {_mb(sum(rooms))} MB for its {_mb(need)} MB: less than half")
        return None
    counts = windows(weights.layers, rooms)
    each = need // weights.layers
    group = tuple(
        Share(rank, count, min(count * each, room)) for rank, count, room in zip(able, counts, rooms, strict=True)
    )
    disk = max(0.0, 1 - sum(rooms) / need)
    speed = tokens_per_second(_reads(model, group, disk))
    if speed < SLOWEST_RING:
        model.reasons.append(f"a ring would read {disk:.0%} of it from disk: {speed:.2f} tokens a second")
        return None
    names = ", ".join(f"{model.nodes[share.rank].name} {share.layers}" for share in group)
    return Choice(
        name,
        EngineKind.RING,
        group,
        model.context,
        speed,
        f"{name} runs in a ring of {len(group)}, {disk:.0%} of it read from disk for each token, layers: {names}",
    )


def _of_one_build(model: _Candidate, engine: EngineKind) -> list[int]:
    """The ranks that have the programs of an engine, all the same; who has another build is named.

    Machines of different classes may have different builds of prima.cpp: each is built for its class. What each class
    has is then compared within it.
    """
    have = {rank: node.programs[engine] for rank, node in sorted(model.nodes.items()) if engine in node.programs}
    right: dict[str, tuple[str, str]] = {}
    able = []
    for rank, build in have.items():
        node = model.nodes[rank]
        group = str(node.cpu) if engine is EngineKind.RING else ""
        first, whose = right.setdefault(group, (build, node.name))
        if build == first:
            able.append(rank)
        else:
            model.reasons.append(
                f"{node.name} has another build for {engine} than {whose} ({build[:12]}, not {first[:12]}): "
                "give both the same with playbook.yaml"
            )
    return able


def _reads(model: _Candidate, group: Sequence[Share], from_disk: float) -> list[tuple[NodeFacts, int, int]]:
    """What each machine reads for one token: its part of the layers, and the first one what makes the token."""
    weights = model.weights
    body = weights.bytes_per_token - weights.output_bytes
    reads = []
    for index, share in enumerate(group):
        taken = body * share.layers // weights.layers + (0 if index else weights.output_bytes)
        reads.append((model.nodes[share.rank], int(taken * (1 - from_disk)), int(taken * from_disk)))
    return reads


def _mb(size: int) -> int:
    return size >> 20
