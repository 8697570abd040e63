"""The job's file and Nomad's environment: what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.expert_host.spec import EngineKind, Place, read_spec

pytestmark = pytest.mark.unit

NOMAD = {
    "NOMAD_ALLOC_INDEX": "1",
    "NOMAD_ALLOC_ID": "0123456789",
    "NOMAD_IP_control": "10.0.0.2",
    **{f"NOMAD_PORT_{label}": str(8200 + n) for n, label in enumerate(("api", "control", "data", "signal"))},
}


def write(folder: Path, **changes: Any) -> Path:
    model = {"name": "qwen2.5-7b-instruct", "file": "Qwen-Q4_K_M.gguf", "ram_mb": 8000, "cpu": "avx2"}
    values: dict[str, Any] = {
        "job_name": "creative-expert",
        "service_name": "prima-api-creative",
        "description": "writes",
        "worker_count": 2,
        "models": [model],
        "models_dir": "/models",
        "api_key_file": "/key",
    }
    file = folder / "expert.json"
    file.write_text(json.dumps(values | changes))
    return file


def test_a_file_as_the_playbook_writes_it_is_read(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, engines=["rpc"]))

    assert spec.engines == {EngineKind.RPC}
    assert spec.models[0].path(spec.models_dir) == Path("/models/qwen2.5-7b-instruct/Qwen-Q4_K_M.gguf")


def test_the_files_of_a_model_in_parts_follow_from_the_first(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, models=[{"name": "big", "file": "big-00001-of-00003.gguf"}]))

    assert [path.name for path in spec.models[0].paths(spec.models_dir)][2] == "big-00003-of-00003.gguf"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"models": []}, "models: "),
        ({"worker_count": "many"}, "worker_count: "),
        ({"engines": ["fast"]}, "engines"),
        ({"models": [{"name": "m", "file": "../../etc/passwd.gguf"}]}, "models.0.file"),
        ({"models": [{"name": "m", "file": "m.bin"}]}, "models.0.file"),
        ({"models": [{"name": "../m", "file": "m.gguf"}]}, "models.0.name"),
        ({"models": [{"name": "m", "file": "m.gguf", "files": ["../m.gguf"]}]}, "models.0.files.0"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named.replace(".", r"\.")):
        read_spec(write(tmp_path, **changes))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.json"):
        read_spec(tmp_path / "nowhere.json")


def test_a_place_is_what_nomad_says_and_each_start_is_another_run() -> None:
    place = Place.from_environment(NOMAD)

    assert (place.rank, place.host, place.api, place.signal) == (1, "10.0.0.2", 8200, 8203)
    assert Place.from_environment(NOMAD).run != place.run


@pytest.mark.parametrize("missing", ["NOMAD_ALLOC_INDEX", "NOMAD_PORT_data", "NOMAD_IP_control"])
def test_outside_of_nomad_it_says_what_is_missing(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        Place.from_environment({name: value for name, value in NOMAD.items() if name != missing})


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_it_never_listens_everywhere(address: str) -> None:
    with pytest.raises(ConfigurationError):
        Place.from_environment(NOMAD | {"NOMAD_IP_control": address})
