"""The catalogue and what it chooses for a PC; the shipped one is held to its promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.llm.catalogue import Catalogue, Model, installed_variant
from pipecatapp.machine import CpuClass, Machine
from pipecatapp.paths import CHECKOUT

pytestmark = pytest.mark.unit

SHA = "a" * 64


def machine(cpu: CpuClass = CpuClass.AVX2, cores: int = 4, ram_mb: int = 16000) -> Machine:
    return Machine(cpu, frozenset(), cores, ram_mb)


def model(
    name: str = "m", *, ram_mb: int = 1000, auto: dict[str, Any] | None = None, cpu: str = "core2"
) -> dict[str, Any]:
    file = {"name": f"{name}.gguf", "url": "https://hub/m.gguf", "sha256": SHA}
    variant = {"quantization": "Q4_0", "cpu": cpu, "size_mb": 100, "files": [file]}
    return {"name": name, "title": name, "licence": "MIT", "ram_mb": ram_mb, "auto": auto, "variants": [variant]}


def write(path: Path, **lists: list[dict[str, Any]]) -> Path:
    file = path / "models.yaml"
    file.write_text(yaml.safe_dump(lists))
    return file


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return Catalogue.load(CHECKOUT / "group_vars/models.yaml")


def test_the_first_model_that_suits_is_taken(tmp_path: Path) -> None:
    big, small = model("big", ram_mb=9000, auto={"cpu": "avx2"}), model("small", auto={"cpu": "core2"})
    catalogue = Catalogue.load(write(tmp_path, main_models=[big, small]))

    assert [entry.model.name for entry in catalogue.for_machine(machine())] == ["big"]
    assert [entry.model.name for entry in catalogue.for_machine(machine(ram_mb=8000))] == ["small"]
    assert [entry.model.name for entry in catalogue.for_machine(machine(CpuClass.CORE2))] == ["small"]


def test_a_model_without_auto_waits_for_its_name(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write(tmp_path, vision_models=[model("eyes")]))

    assert catalogue.for_machine(machine()) == []
    assert catalogue.find("eyes").purpose == "vision"


def test_an_unknown_name_lists_the_choices(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write(tmp_path, main_models=[model("a"), model("b")]))

    with pytest.raises(UnknownChoiceError, match="choose one of: a, b"):
        catalogue.find("c")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ram_mb": "much"}, "ram_mb"),
        ({"colour": "red"}, "colour"),
        ({"name": "../evil"}, "name"),
        ({"variants": []}, "variants"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Catalogue.load(write(tmp_path, main_models=[model() | change]))


def test_a_catalogue_that_is_no_yaml_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("main_models: [")

    for path in (tmp_path / "models.yaml", tmp_path / "none.yaml"):
        with pytest.raises(ConfigurationError, match=path.name):
            Catalogue.load(path)


def test_a_model_is_here_when_all_its_files_are(tmp_path: Path) -> None:
    voice = model("voice")
    second = {"name": "voice.json", "url": "https://hub/voice.json", "sha256": SHA}
    voice["variants"][0]["files"].append(second)
    known = Model.model_validate(voice)
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice/voice.gguf").touch()
    assert installed_variant(tmp_path, known) is None

    (tmp_path / "voice/voice.json").touch()
    assert installed_variant(tmp_path, known) is known.variants[0]


def test_below_avx2_a_main_model_comes_in_a_quantization_that_is_quick_there_or_is_small(shipped: Catalogue) -> None:
    for entry in shipped:
        variant = entry.model.variant_for(machine(CpuClass.CORE2))
        if entry.purpose == "main" and variant is not None:
            quick = variant.quantization in ("Q4_0", "Q8_0")
            assert quick or variant.size_mb < 500, entry.model.name


def test_every_pc_is_offered_a_main_model_that_fits_it(shipped: Catalogue) -> None:
    for cpu in CpuClass:
        for ram_mb in (4000, 8000, 32000):
            chosen = {entry.purpose: entry.model for entry in shipped.for_machine(machine(cpu, 2, ram_mb))}
            assert chosen["main"].ram_mb <= ram_mb
            assert chosen["embedding"].name == "all-minilm-l6-v2"


def test_a_65_nm_core_2_is_not_offered_faster_whisper(shipped: Catalogue) -> None:
    chosen = {entry.purpose: entry.model.name for entry in shipped.for_machine(machine(CpuClass.CORE2, 2, 8000))}

    assert chosen["stt"].startswith("whisper-cpp")


def test_a_file_without_a_checksum_is_no_entry(tmp_path: Path) -> None:
    unknown = model()
    unknown["variants"][0]["files"][0]["sha256"] = None

    with pytest.raises(ConfigurationError, match="sha256"):
        Catalogue.load(write(tmp_path, main_models=[unknown]))


def test_licences_that_matter_are_named(shipped: Catalogue) -> None:
    assert shipped.find("qwen2.5-3b-instruct").model.licence == "Qwen Research"


def test_no_voice_is_for_research_alone(shipped: Catalogue) -> None:
    assert not [model.name for model in shipped.of("tts") if "research" in model.licence.lower()]


def test_every_pc_can_have_ears_a_voice_a_memory_and_a_mind_from_the_package_index(shipped: Catalogue) -> None:
    pc = machine(CpuClass.AVX2, 2, 8000)
    for purpose in ("stt", "tts", "embedding", "main"):
        models = shipped.suiting(purpose, pc)
        by_index = [m for m in models if all(p.pieces for v in m.variants for p in v.files)]
        assert by_index, purpose


def test_a_mixture_of_experts_is_an_entry_like_any_other_and_needs_its_checksum(tmp_path: Path) -> None:
    mixture = model("qwen3-30b-a3b", ram_mb=18_500)
    mixture["variants"][0] |= {"size_mb": 17_400, "reads_mb": 1_900}
    entry = Catalogue.load(write(tmp_path, main_models=[mixture])).find("qwen3-30b-a3b")
    assert entry.model.variants[0].reads_mb == 1_900
    assert not entry.model.fits(machine(ram_mb=8000))

    mixture["variants"][0]["files"][0]["sha256"] = "THE-SUM-OF-YOUR-FILE"
    with pytest.raises(ConfigurationError, match="sha256"):
        Catalogue.load(write(tmp_path, main_models=[mixture]))


def test_a_file_in_pieces_has_its_size(tmp_path: Path) -> None:
    piece = {"wheel": "m==1.0", "sha256": SHA, "member": "m/part"}
    without = model()
    without["variants"][0]["files"][0] |= {"pieces": [piece]}

    with pytest.raises(ConfigurationError, match="size in bytes"):
        Catalogue.load(write(tmp_path, main_models=[without]))


def test_files_of_several_models_are_known(tmp_path: Path) -> None:
    one, two = model("one"), model("two")
    two["variants"][0]["files"].append({"name": "own.json", "url": "https://hub/own.json", "sha256": "b" * 64})

    assert Catalogue.load(write(tmp_path, main_models=[one, two])).shared_files() == {SHA}


def test_names_are_unique(shipped: Catalogue) -> None:
    names = [entry.model.name for entry in shipped]

    assert len(names) == len(set(names))
