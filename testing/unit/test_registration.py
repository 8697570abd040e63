"""What Consul and the file of external experts say of an expert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipecatapp.cluster.consul import consul_url, names_of, next_index
from pipecatapp.errors import ConfigurationError
from pipecatapp.experts.external import load_external
from pipecatapp.registration import from_consul

pytestmark = pytest.mark.unit


def entry(node: str = "10.0.0.7", **service: Any) -> dict[str, Any]:
    return {"Node": {"Address": node}, "Service": {"ID": "i", "Service": "prima-api-coding", "Port": 8080, **service}}


def test_the_address_is_the_services_own_or_else_its_nodes() -> None:
    found = [from_consul(entry(Address=address)) for address in ("10.0.0.9", "", "fd00::2")]
    at = [r.url.removesuffix("/v1") for r in found if r]
    assert at == ["http://10.0.0.9:8080", "http://10.0.0.7:8080", "http://[fd00::2]:8080"]
    assert found[0] is not None
    assert found[0].id == "coding@10.0.0.9:8080"


def test_meta_and_tags_say_what_it_is() -> None:
    meta = {"model": "qwen3-4b", "context": "8192", "description": "writes <|im_end|> programs", "slots": "2"}
    found = from_consul(entry(Meta=meta, Tags=["engine=llama.cpp", "quantization=Q4_0", "no-tools", "model=other"]))
    assert found is not None
    assert (found.model, found.context, found.slots, found.engine) == ("qwen3-4b", 8192, 2, "llama.cpp")
    assert (found.quantization, found.tools) == ("Q4_0", False)
    assert found.description == "writes im_end programs"  # it goes into a prompt: no signs of a template


def test_nothing_is_known_of_a_bare_one_and_numbers_that_are_none_do_no_harm() -> None:
    found = from_consul(entry(Meta={"context": "much"}))
    assert found is not None
    assert (found.model, found.context, found.tools, found.description) == ("", 0, None, "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"Service": "prima-api-../../etc"},
        {"Service": "prima-api-"},
        {"Service": "prima-api-Coding"},
        {"Port": 0},
        {"Port": 70000},
    ],
)
def test_what_cannot_be_reached_or_named_is_left_out(wrong: dict[str, Any]) -> None:
    assert from_consul(entry(**wrong)) is None


def test_a_key_is_never_shown() -> None:
    found = from_consul(entry(), api_key="secret")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("consul", "http://consul:8500"),
        ("https://consul.example:8501", "https://consul.example:8501"),
        ("http://10.0.0.1:8500/", "http://10.0.0.1:8500"),
        ("[::1]:8500", "http://[::1]:8500"),
    ],
)
def test_every_form_of_the_address_is_understood(address: str, url: str) -> None:
    assert consul_url(address) == url


@pytest.mark.parametrize("address", ["ftp://x:1", "host:port", "http://", "consul:8500/v1?x", "unix:///run/consul"])
def test_another_form_is_refused_with_advice(address: str) -> None:
    with pytest.raises(ConfigurationError, match="CONSUL_HTTP_ADDR"):
        consul_url(address)


def test_an_index_that_goes_backwards_begins_anew() -> None:
    assert next_index(0, "17") == 17
    assert next_index(17, "18") == 18
    assert next_index(17, "3") == 0
    assert next_index(0, "0") == 1  # or Consul would not wait
    assert next_index(17, "") == 0


def test_only_services_with_the_prefix_are_experts() -> None:
    services = {"consul": [], "prima-api-math": [], "prima-rpc": [], "prima-api-coding": []}
    assert names_of(services, "prima-api-") == ["prima-api-coding", "prima-api-math"]
    assert names_of(["nonsense"], "prima-api-") == []


FILE = """
- name: writing
  url: https://llm.example/v1
  model: some-model
  api_key_env: WRITING_KEY
  description: letters and stories
- {name: local, url: "http://10.0.0.9:8080/v1"}
"""


def test_external_experts_have_their_key_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "experts.yaml"
    file.write_text(FILE)
    writing, local = load_external(file, {"WRITING_KEY": "secret"})
    assert (writing.expert, writing.url, writing.model) == ("writing", "https://llm.example/v1", "some-model")
    assert (writing.api_key, writing.external, local.api_key) == ("secret", True, "")
    file.write_text('[{"name": "local", "url": "http://10.0.0.9:8080/v1"}]')
    assert [r.expert for r in load_external(file, {})] == ["local"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (FILE, "WRITING_KEY"),
        ("- {name: x}", "url"),
        ("- {name: x, url: 'http://x/v1', api_key: secret}", "api_key"),
        ("- {name: X/Y, url: 'http://x/v1'}", "X/Y"),
        ("name: x", "list"),
        ("- {", "neither YAML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "experts.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=named):
        load_external(file, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml cannot be read"):
        load_external(tmp_path / "none.yaml", {})
