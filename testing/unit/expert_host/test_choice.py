"""Which engine runs which model on which machines, and the reason in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.expert_host.choice import HEADROOM, choose
from pipecatapp.expert_host.facts import HeldModel, NodeFacts
from pipecatapp.expert_host.spec import EngineKind, ModelWish
from pipecatapp.machine import CpuClass
from testing.fakes.expert_nodes import ALL_BUILDS, MB, expert, node, weights

pytestmark = pytest.mark.unit

SEVEN = ("seven", weights(4700, layers=28, architecture="qwen2"))
FOURTEEN = ("fourteen", weights(9000, layers=48, architecture="qwen2"))
MIXTURE = ("mixture", weights(17_000, layers=48, architecture="qwen3moe", active=0.1))


def test_one_machine_that_holds_it_runs_it_alone() -> None:
    verdict = choose(expert("seven"), {0: node("pc1", 8000, SEVEN), 1: node("pc2", 8000)})

    assert verdict.choice is not None
    assert (verdict.choice.engine, [share.rank for share in verdict.choice.shares]) == (EngineKind.PLAIN, [0])
    assert (
        verdict.why == "seven runs on pc1 alone, which holds it: nothing is faster; 1 other machine of the expert idle"
    )


def test_it_runs_where_it_fits_though_that_is_not_the_first() -> None:
    choice = choose(expert("seven"), {0: node("pc1", 3000, SEVEN), 1: node("pc2", 8000), 2: node("pc3", 9000)}).choice

    assert choice is not None
    assert [share.rank for share in choice.shares] == [2]


def test_what_no_machine_holds_is_shared_over_rpc_by_free_memory_and_by_as_few_as_hold_it() -> None:
    nodes = {0: node("pc1", 5000, FOURTEEN), 1: node("pc2", 7000), 2: node("pc3", 9000)}

    verdict = choose(expert("fourteen"), nodes)

    assert verdict.choice is not None
    assert verdict.choice.engine is EngineKind.RPC
    assert [(share.rank, share.layers) for share in verdict.choice.shares] == [(0, 15), (2, 33)]
    assert "no machine holds its 9195 MB alone, the largest has 8000 MB for it" in verdict.why


def test_the_reserve_and_the_headroom_are_left_free_on_every_machine() -> None:
    nodes = {rank: node(f"pc{rank}", 5200, FOURTEEN) for rank in range(3)}

    choice = choose(expert("fourteen"), nodes).choice

    assert choice is not None
    for share in choice.shares:
        assert share.bytes <= (nodes[share.rank].free_mb - 1000) * HEADROOM * MB


def test_beyond_the_memory_of_all_a_ring_reads_the_rest_from_disk() -> None:
    nodes = {rank: node(f"pc{rank}", 3000 + 1000 * rank, FOURTEEN) for rank in range(3)}

    verdict = choose(expert("fourteen", engines=frozenset(EngineKind)), {**nodes, 2: node("pc2", 4000, FOURTEEN)})

    assert verdict.choice is not None
    assert verdict.choice.engine is EngineKind.RING
    assert sum(share.layers for share in verdict.choice.shares) == 48
    assert [share.layers for share in verdict.choice.shares] == [12, 18, 18]
    assert "13% of it read from disk" in verdict.why
    assert "3 machines together have 8000 MB" in verdict.why


def test_a_ring_that_would_read_more_than_half_from_disk_gives_way_to_the_next_model() -> None:
    nodes = {0: node("pc1", 2000, FOURTEEN, SEVEN), 1: node("pc2", 2500)}

    verdict = choose(expert("fourteen", "seven"), nodes)

    assert verdict.choice is not None
    assert (verdict.choice.model, verdict.choice.engine) == ("seven", EngineKind.RING)
    assert "fourteen: no machine holds" in verdict.why
    assert "a ring of 2 has 2500 MB for its 9195 MB: less than half" in verdict.why


def test_a_ring_on_hard_disks_that_would_take_seconds_for_a_word_is_none() -> None:
    nodes = {rank: node(f"pc{rank}", 4000, FOURTEEN, disk_mb_s=80) for rank in range(3)}

    verdict = choose(expert("fourteen"), nodes)

    assert verdict.choice is None
    assert "a ring would read 2% of it from disk: 0.35 tokens a second" in verdict.why


def test_a_mixture_of_experts_runs_over_rpc_and_never_in_a_ring() -> None:
    three = {rank: node(f"pc{rank}", 7500, MIXTURE, cpu=CpuClass.CORE2) for rank in range(3)}

    choice = choose(expert("mixture"), three).choice
    too_small = choose(expert("mixture"), {rank: node(f"pc{rank}", 4500, MIXTURE) for rank in range(3)})

    assert choice is not None
    assert (choice.engine, len(choice.shares)) == (EngineKind.RPC, 3)
    assert too_small.choice is None
    assert "prima.cpp does not know the architecture qwen3moe" in too_small.why


def test_thirty_billion_weights_fit_three_pcs_of_8_gb() -> None:
    # Qwen3 30B A3B in Q4_0, on PCs on which nothing but the cluster's daemons runs.
    model = ("mixture", weights(16_570, layers=48, architecture="qwen3moe", active=0.1))
    three = {rank: node(f"pc{rank}", 7300, model, cpu=CpuClass.CORE2) for rank in range(3)}

    choice = choose(expert("mixture", reserve_mb=700, context=4096), three).choice

    assert choice is not None
    assert [share.layers for share in choice.shares] == [15, 16, 17]


def test_what_is_read_for_a_token_makes_the_speed_and_not_the_size() -> None:
    dense = ("dense", weights(8500, layers=48))
    three = {rank: node(f"pc{rank}", 7500, MIXTURE, dense, cpu=CpuClass.CORE2) for rank in range(3)}

    mixture, fourteen = choose(expert("mixture"), three).choice, choose(expert("dense"), three).choice

    assert mixture is not None
    assert fourteen is not None
    assert mixture.tokens_per_s > 3 * fourteen.tokens_per_s


def test_a_machine_with_another_build_is_named_and_left_out() -> None:
    nodes = {
        0: node("pc1", 6000, FOURTEEN),
        1: node("pc2", 6000, programs={**ALL_BUILDS, EngineKind.RPC: "rpc 0"}),
        2: node("pc3", 6500),
    }

    verdict = choose(expert("fourteen"), nodes)

    assert verdict.choice is not None
    assert [share.rank for share in verdict.choice.shares] == [0, 2]
    assert "pc2 has another build for rpc than pc1 (rpc 0, not rpc 1)" in verdict.why


def test_a_machine_with_another_file_under_the_same_name_is_named_and_left_out() -> None:
    other = HeldModel(sums={"fourteen.gguf": "b" * 64}, weights=FOURTEEN[1])
    nodes = {
        0: node("pc1", 5500, FOURTEEN),
        1: node("pc2", 5500, models={"fourteen": other}),
        2: node("pc3", 5500, FOURTEEN),
    }

    verdict = choose(expert("fourteen", engines=["ring"]), nodes)

    assert verdict.choice is not None
    assert [share.rank for share in verdict.choice.shares] == [0, 2]
    assert "pc2: another file under the name of fourteen than the first machine's" in verdict.why


def test_a_ring_may_have_a_build_for_each_class_of_cpu() -> None:
    old = {"cpu": CpuClass.CORE2, "programs": {EngineKind.RING: "prima for core2"}}
    nodes = {0: node("pc1", 5500, FOURTEEN), 1: node("pc2", 4500, FOURTEEN, **old)}

    choice = choose(expert("fourteen", engines=["ring"]), nodes).choice

    assert choice is not None
    assert len(choice.shares) == 2


def test_a_machine_that_is_too_old_for_the_model_takes_no_part_in_it() -> None:
    spec = expert(models=(ModelWish(name="seven", file="seven.gguf", cpu=CpuClass.AVX2),))
    nodes = {0: node("pc1", 9000, SEVEN, cpu=CpuClass.CORE2), 1: node("pc2", 9000)}

    verdict = choose(spec, nodes)

    assert verdict.choice is not None
    assert [share.rank for share in verdict.choice.shares] == [1]
    assert "pc1: a CPU older than avx2" in verdict.why


def test_what_failed_lately_is_passed_over_with_its_reason() -> None:
    nodes = {0: node("pc1", 12_000, SEVEN, FOURTEEN)}
    blocked = {("fourteen", EngineKind.PLAIN): "it does not load: out of memory"}

    verdict = choose(expert("fourteen", "seven"), nodes, blocked)

    assert verdict.choice is not None
    assert verdict.choice.model == "seven"
    assert "fourteen: plain: it does not load: out of memory" in verdict.why


def test_what_nobody_has_and_what_is_wrong_is_said() -> None:
    nodes = {0: node("pc1", 9000, faults={"seven": "pc1: seven.gguf is another file"}), 1: node("pc2", 9000)}

    verdict = choose(expert("seven", "fourteen"), nodes)

    assert verdict.choice is None
    assert "seven: pc1: seven.gguf is another file; fourteen: no machine has its file" in verdict.why


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=6), st.sampled_from([SEVEN, FOURTEEN, MIXTURE]))
def test_no_machine_is_given_more_than_it_has(memory: list[int], model: tuple[str, object]) -> None:
    name, of = model
    nodes: dict[int, NodeFacts] = {
        rank: node(f"pc{rank}", free, (name, of))  # type: ignore[arg-type]
        for rank, free in enumerate(memory)
    }
    choice = choose(expert(name), nodes).choice
    if choice is None:
        return
    for share in choice.shares:
        assert share.bytes <= max(0, nodes[share.rank].free_mb - 1000) * MB
    assert sum(share.layers for share in choice.shares) == of.layers  # type: ignore[attr-defined]
    assert len({share.rank for share in choice.shares}) == len(choice.shares)
