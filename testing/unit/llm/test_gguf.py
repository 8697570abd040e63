"""The head of a model file: what it tells, and every way in which a file can be broken."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.gguf import read_head
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
