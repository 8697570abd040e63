"""LLM_MODEL and what lies in the models folder decide what is loaded; the starter model is always the last resort."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.llm import selection
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.machine import CpuClass, Machine
from testing.unit.llm.test_catalogue import model, write

pytestmark = pytest.mark.unit

PC = Machine(CpuClass.AVX2, frozenset(), 2, 8000)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "starter.gguf").touch()
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    big, small, asked = model("big", auto={"cpu": "avx2"}), model("small", auto={"cpu": "core2"}), model("asked")
    return Catalogue.load(write(tmp_path, main_models=[asked, big, small, model("huge", ram_mb=90_000)]))


def put(models: Path, name: str) -> None:
    (models / name).mkdir()
    (models / name / f"{name}.gguf").touch()


def aliases(wanted: str, catalogue: Catalogue, models: Path) -> list[str]:
    return [file.alias for file in selection.main_models(wanted, catalogue, models, PC)]


def test_auto_takes_what_suits_then_what_a_person_brought_then_the_starter(catalogue: Catalogue, models: Path) -> None:
    for name in ("asked", "small", "big", "huge"):
        put(models, name)

    assert aliases("auto", catalogue, models) == ["big", "small", "asked", "starter"]


def test_with_nothing_pulled_the_starter_answers(catalogue: Catalogue, models: Path) -> None:
    assert aliases("auto", catalogue, models) == ["starter"]


def test_a_name_is_taken_even_where_it_is_slow(catalogue: Catalogue, models: Path) -> None:
    put(models, "huge")

    assert aliases("huge", catalogue, models) == ["huge", "starter"]


def test_a_name_that_is_not_here_yet_leaves_the_starter(catalogue: Catalogue, models: Path) -> None:
    assert aliases("big", catalogue, models) == ["starter"]


def test_a_path_is_served_under_its_own_name(catalogue: Catalogue, models: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").touch()

    assert aliases(str(tmp_path / "mine.gguf"), catalogue, models) == ["mine", "starter"]


def test_starter_means_nothing_else(catalogue: Catalogue, models: Path) -> None:
    put(models, "big")

    assert aliases("starter", catalogue, models) == ["starter"]


def test_a_wrong_name_or_path_refuses(catalogue: Catalogue, models: Path) -> None:
    with pytest.raises(UnknownChoiceError):
        aliases("bigg", catalogue, models)
    with pytest.raises(ConfigurationError, match=r"/none\.gguf"):
        aliases("/none.gguf", catalogue, models)


def test_no_model_at_all_says_what_to_do(catalogue: Catalogue, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "STARTER_PLACES", ())
    (models / "starter.gguf").unlink()

    with pytest.raises(ConfigurationError, match="models pull --for-this-pc"):
        aliases("auto", catalogue, models)


@pytest.mark.parametrize("named", [1, 2, 3])
def test_of_a_model_in_parts_any_may_be_named(catalogue: Catalogue, models: Path, tmp_path: Path, named: int) -> None:
    for part in (1, 2, 3):
        (tmp_path / f"mine-0000{part}-of-00003.gguf").touch()
    wanted = str(tmp_path / f"mine-0000{named}-of-00003.gguf")
    first = selection.main_models(wanted, catalogue, models, PC)[0]
    assert (first.path.name, first.alias) == ("mine-00001-of-00003.gguf", "mine")


def test_a_part_that_is_missing_is_named(catalogue: Catalogue, models: Path, tmp_path: Path) -> None:
    (tmp_path / "mine-00001-of-00003.gguf").touch()
    with pytest.raises(
        ConfigurationError, match=r"has 3 parts, .*mine-00002-of-00003\.gguf, mine-00003-of-00003\.gguf"
    ):
        aliases(str(tmp_path / "mine-00001-of-00003.gguf"), catalogue, models)
