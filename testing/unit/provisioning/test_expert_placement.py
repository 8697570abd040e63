"""Which models an expert has, which machines take part, and what keeps the others: the filters of role expert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipecatapp.expert_host.spec import Programs, read_spec
from pipecatapp.llm.debian import rpc_server_in
from pipecatapp.machine import CpuClass, classify
from testing.ansible_plugins import PLUGINS, load

pytestmark = pytest.mark.unit

experts = load("filter/experts")
MODELS_FILE = yaml.safe_load((PLUGINS.parents[1] / "group_vars/models.yaml").read_text(encoding="utf-8"))


def model(name: str, ram_mb: int, *variants: tuple[str, str], size: int | None = None) -> dict[str, Any]:
    """A model with variants (quantization, oldest class)."""
    return {
        "name": name, "ram_mb": ram_mb, "context": 2048,
        "variants": [
            {
                "quantization": quant, "cpu": cpu, "size_mb": 1000,
                "files": [{"name": f"{name}-{quant}.gguf", "sha256": quant * 8, **({"size": size} if size else {})}],
            }
            for quant, cpu in variants
        ],
    }  # fmt: skip


STARTER = model("starter", 100, ("Q8_0", "core2"))
BIG, SMALL = model("big", 8000, ("Q4_K_M", "avx2")), model("small", 2000, ("Q4_K_M", "avx2"), ("Q8_0", "core2"))
NEW, OLD, TINY = {"cpu": "avx2", "ram_mb": 7800}, {"cpu": "core2", "ram_mb": 7800}, {"cpu": "avx2", "ram_mb": 1900}


def place(models: list[dict[str, Any]], count: int, **machines: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = experts.expert_place(models, machines, count, 1500)
    return found


@pytest.mark.parametrize("cpu", list(CpuClass))
def test_classes_are_those_that_the_program_knows(cpu: CpuClass) -> None:
    flags = experts._CLASSES[cpu]
    assert experts.cpu_class([*flags, "fpu"]) == classify(frozenset(flags)) == cpu


def test_names_mean_models_of_the_catalogue() -> None:
    found = experts.expert_models(["small", "starter"], [BIG, SMALL], STARTER)
    assert ([one["name"] for one in found["models"]], found["problem"]) == (["small", "starter"], "")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("", "model_list is no list of models"),
        ([], "model_list is no list of models"),
        (["smal"], "model_list has smal, and group_vars/models.yaml knows no such main model"),
        ([{"name": "x"}], "x in model_list has no ram_mb and no variants"),
        (
            [{"name": "x", "ram_mb": 1, "variants": [{"files": [{"name": "x.gguf"}]}]}],
            "x in model_list: x.gguf has no sha256, so nobody could tell whether it is right",
        ),
    ],
)
def test_a_wrong_list_gets_one_sentence(wanted: Any, why: str) -> None:
    assert experts.expert_models(wanted, [BIG, SMALL], STARTER)["problem"] == why


def test_a_model_may_be_written_into_the_list() -> None:
    assert experts.expert_models([BIG], [], STARTER)["models"] == [BIG]


def test_the_lists_for_experts_name_models_with_checksums() -> None:
    lists = {name: names for name, names in MODELS_FILE.items() if names and isinstance(names[0], str)}
    assert {"creative_writing_models", "coding_models", "math_models", "general_models"} <= lists.keys()
    for name, names in lists.items():
        assert experts.expert_models(names, MODELS_FILE["main_models"], STARTER)["problem"] == "", name


def test_machines_that_suit_the_best_model_take_part_and_the_others_are_named() -> None:
    found = place([BIG, SMALL], 2, n1=NEW, n2=NEW, n3=OLD, n4=TINY)
    assert (found["machines"], found["cpu_classes"]) == (["n1", "n2"], ["avx2", "avx512"])
    assert [one["variant"]["quantization"] for one in found["models"]] == ["Q4_K_M", "Q4_K_M"]
    assert found["left_out"] == [
        "n4 has 1900 MB of memory, and 2500 are needed",
        "n3 has a processor of class core2, for which its models are not",
    ]


def test_mixed_machines_take_the_file_for_the_oldest() -> None:
    found = place([BIG, SMALL], 2, n1=NEW, n3=OLD)
    assert (found["machines"], found["cpu"]) == (["n1", "n3"], "core2")
    assert [(one["name"], one["variant"]["quantization"]) for one in found["models"]] == [("small", "Q8_0")]
    assert found["left_out"] == ["big does not run on a processor of class core2"]


def test_a_share_and_not_the_model_has_to_fit_a_machine() -> None:
    assert place([BIG], 4, **{f"n{i}": {"cpu": "avx2", "ram_mb": 3500} for i in range(4)})["ram_mb"] == 3500


def test_too_few_machines_get_one_sentence_with_the_reasons() -> None:
    assert place([BIG], 2, n1=NEW, n3=OLD, n4=TINY)["problem"] == (
        "2 machines are wanted, and 1 of 3 can take part: n4 has 1900 MB of memory, and 5500 are needed; "
        "n3 has a processor of class core2, and avx2 is needed"
    )
    assert place([SMALL], 3, n1=NEW, n2=NEW)["problem"] == "3 machines are wanted, and 2 of 2 can take part"


def test_the_spec_has_all_that_a_supervisor_needs() -> None:
    (one,) = experts.expert_spec_models(place([SMALL], 1, n1=NEW)["models"])
    assert one == {
        "name": "small", "file": "small-Q4_K_M.gguf", "files": ["small-Q4_K_M.gguf"], "quantization": "Q4_K_M",
        "sha256": {"small-Q4_K_M.gguf": "Q4_K_M" * 8}, "size": 1_000_000_000, "ram_mb": 2000, "context": 2048,
        "cpu": "avx2",
    }  # fmt: skip
    assert json.dumps(one)


def test_a_file_elsewhere_is_named_by_its_path() -> None:
    starter = json.loads(json.dumps(STARTER))
    starter["variants"][0]["files"][0]["path"] = "/opt/starter.gguf"
    (one,) = experts.expert_spec_models(place([starter], 1, n1=OLD)["models"])
    assert (one["file"], one["files"]) == ("/opt/starter.gguf", ["starter-Q8_0.gguf"])


def test_the_program_reads_what_the_role_writes(tmp_path: Path) -> None:
    role = yaml.safe_load((PLUGINS.parent / "roles/expert/vars/main.yaml").read_text(encoding="utf-8"))["expert_spec"]
    models = [model("small", 2000, ("Q4_K_M", "avx2")), model("other", 100, ("Q8_0", "core2"))]
    for one in models:
        for variant in one["variants"]:
            variant["files"][0]["sha256"] = "0" * 64
    written = {
        **dict.fromkeys(role, "x"), "worker_count": 2, "context": 4096, "parallel": 1, "reserve_mb": 1500,
        "engines": ["rpc"], "programs": {name: f"/p/{name}" for name in role["programs"]},
        "consul": {"address": "http://127.0.0.1:8500", "token_file": "/t"},
        "models": experts.expert_spec_models(place(models, 1, n1=NEW)["models"]),
    }  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps(written))
    spec = read_spec(tmp_path / "spec.json")
    assert set(role) - {"description"} <= set(type(spec).model_fields)
    assert set(role["programs"]) == set(Programs.model_fields)
    assert [wish.path(Path("/m")) for wish in spec.models] == [
        Path("/m/small/small-Q4_K_M.gguf"), Path("/m/other/other-Q8_0.gguf"),
    ]  # fmt: skip


def test_the_engine_is_looked_for_where_the_program_unpacks_it() -> None:
    role = yaml.safe_load((PLUGINS.parent / "roles/expert/vars/main.yaml").read_text(encoding="utf-8"))
    # The pin's version is the whole of the tree's name.
    assert role["expert_engine_tree"].split() == [
        "{{", "app_state_dir", "}}/engine/debian-{{", "(lookup('ansible.builtin.file',", "playbook_dir", "~",
        "'/src/pipecatapp/llm/engine_pins.yaml')", "|", "from_yaml).debian.version", "}}",
    ]  # fmt: skip
    programs = role["expert_spec"]["programs"]
    assert programs["rpc_server"] == str(rpc_server_in(Path("{{ expert_engine_tree }}")))
    assert programs["llama_server"] == "{{ expert_engine_tree }}/usr/bin/llama-server"


def test_a_load_may_take_as_long_as_a_slow_disk_needs() -> None:
    models = place([model("m", 100, ("Q4_0", "core2"), size=4_000_000_000)], 1, n1=OLD)["models"]
    assert experts.load_limit_s(models) == 180 + 200


def test_the_job_of_the_pages_is_what_its_filters_say() -> None:
    example = yaml.safe_load((PLUGINS.parents[1] / "jobs/examples/prima-expert.yaml").read_text(encoding="utf-8"))
    job = example["variables"]
    assert set(job["cpu_classes"]) <= set(experts._ORDER)
    assert Path(job["spec"]).stem == job["name"]
