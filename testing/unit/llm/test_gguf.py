"""The head of a model file: what it tells, and every way in which a file can be broken."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.gguf import read_head, split_parts
from testing.fakes.gguf import write_random_model

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "random.gguf", context=2048)


def test_the_head_tells_what_an_engine_must_know(model: Path) -> None:
    head = read_head(model)

    assert (head.architecture, head.name, head.context_tokens, head.head_size) == ("llama", "random", 2048, 32)
    # 4 layers, 2 heads of 32 for keys and as much for values, 2 bytes each.
    assert head.kv_bytes_per_token == 4 * 2 * 32 * 2 * 2
    assert head.size == model.stat().st_size


@pytest.mark.parametrize("part", [0.999, 0.5, 0.01, 0.0001])
def test_a_file_cut_short_is_damaged(model: Path, tmp_path: Path, part: float) -> None:
    data = model.read_bytes()
    short = tmp_path / "short.gguf"
    short.write_bytes(data[: max(8, int(len(data) * part))])

    with pytest.raises(ConfigurationError, match="damaged"):
        read_head(short)


def test_another_file_is_no_model(tmp_path: Path) -> None:
    page = tmp_path / "login.gguf"
    page.write_text("<html>please log in</html>")

    with pytest.raises(ConfigurationError, match="not a GGUF"):
        read_head(page)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.gguf"):
        read_head(tmp_path / "nowhere.gguf")


def test_a_mad_length_is_no_allocation(tmp_path: Path) -> None:
    mad = tmp_path / "mad.gguf"
    mad.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**62))

    with pytest.raises(ConfigurationError, match="damaged"):
        read_head(mad)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(4, 3000), bits=st.integers(1, 255))
def test_a_flipped_byte_never_ends_in_another_exception(model: Path, tmp_path: Path, where: int, bits: int) -> None:
    data = bytearray(model.read_bytes())
    data[where] ^= bits
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)

    with suppress(ConfigurationError):
        assert read_head(broken).size == len(data)


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    write_random_model(tmp_path / "big.gguf", context=2048, tensors_per_part=20)
    return sorted(tmp_path.glob("big-*.gguf"))


def test_a_model_in_parts_is_one_model(model: Path, parts: list[Path]) -> None:
    assert [part.name for part in parts] == ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"]
    assert split_parts(parts[1]) == tuple(parts)
    head, whole = read_head(parts[0]), read_head(model)
    assert (head.architecture, head.context_tokens, head.kv_bytes_per_token) == (
        whole.architecture,
        whole.context_tokens,
        whole.kv_bytes_per_token,
    )
    assert head.size == sum(part.stat().st_size for part in parts)


def test_a_part_that_is_missing_is_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(ConfigurationError, match=r"big has 2 parts, and big-00002-of-00002\.gguf is not in"):
        read_head(parts[0])


def test_a_part_that_is_cut_short_is_damaged(parts: list[Path]) -> None:
    parts[1].write_bytes(parts[1].read_bytes()[:-1000])
    with pytest.raises(ConfigurationError, match=r"big-00002-of-00002\.gguf is damaged"):
        read_head(parts[0])


@pytest.mark.parametrize("name", ["x-00003-of-00002.gguf", "x-00000-of-00002.gguf", "x-00001-of-99999.gguf"])
def test_a_number_that_makes_no_sense_is_no_part(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="its right name"):
        split_parts(tmp_path / name)
