"""Measuring one stream of a server, what the processor used, and where results are kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError
from pipecatapp.errors import ConfigurationError, EngineError
from pipecatapp.speed.energy import Joules
from pipecatapp.speed.one_stream import measure
from pipecatapp.speed.results import ConsulResults, FileResults
from testing.fakes.speeds import measurement

pytestmark = pytest.mark.unit


class Server(httpx.AsyncBaseTransport):
    """A llama-server that reads so many tokens a second."""

    def __init__(self, reads: float = 100.0, **timings: Any) -> None:
        self.prompts: list[int] = []
        self._timings = {"predicted_n": 32, "prompt_per_second": reads, "predicted_per_second": 5.0} | timings

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path == "/tokenize":
            return httpx.Response(200, json={"tokens": [7] * len(body["content"].split())})
        assert body["cache_prompt"] is False
        assert body["ignore_eos"] is True
        self.prompts.append(len(body["prompt"]))
        return httpx.Response(200, json={"timings": self._timings})


async def measured(server: Server, context: int, lengths: tuple[int, ...] = (128, 1024, 4096)) -> tuple[Any, list[str]]:
    said: list[str] = []
    async with httpx.AsyncClient(transport=server, base_url="http://engine") as http:
        return await measure(http, lengths, context, said.append), said


async def test_each_length_is_read_whole_and_written_behind() -> None:
    server = Server()
    stream, said = await measured(server, 4352)

    assert server.prompts == [8, 128, 1024, 4096]
    assert stream.prompt == {128: 100.0, 1024: 100.0, 4096: 100.0}
    assert stream.generated == {128: 5.0, 1024: 5.0, 4096: 5.0}
    assert said == []


async def test_what_does_not_fit_or_would_take_for_ever_is_left_out_and_said() -> None:
    _, said = await measured(Server(), 2048)
    assert said == ["4096 tokens: more than its 2048 tokens of context"]
    stream, said = await measured(Server(reads=2.0), 8192)
    assert list(stream.prompt) == [128, 1024]
    assert said == ["4096 tokens: would take 34 minutes"]


async def test_a_server_that_does_not_say_how_long_it_took_is_no_result() -> None:
    with pytest.raises(EngineError, match="does not say how long"):
        await measured(Server(predicted_per_second=None), 4352)


def test_the_processors_counter_may_begin_anew_and_may_be_somebody_elses_to_read(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    for folder, used in ((zone, 900), (tmp_path / "intel-rapl:0:0", 5)):
        folder.mkdir()
        (folder / "energy_uj").write_text(f"{used}000000")
        (folder / "max_energy_range_uj").write_text("1000000000")
    energy = Joules(tmp_path)
    (zone / "energy_uj").write_text("960000000")
    assert energy.used() == 60.0
    (zone / "energy_uj").write_text("20000000")
    assert energy.used() == 120.0
    (zone / "energy_uj").unlink()
    assert energy.used() is None
    assert Joules(tmp_path / "none").used() is None


async def test_on_one_pc_results_lie_in_a_file_the_latest_of_each(tmp_path: Path) -> None:
    results = FileResults(tmp_path / "benchmarks.json")
    assert await results.all() == []
    for values in ({}, {"node": "pc2"}, {"tokens_per_s": 3.0}, {"engine": "rpc", "machines": 2}):
        await results.keep(measurement(**values))

    found = await FileResults(tmp_path / "benchmarks.json").all()
    assert [(each.node, each.engine, each.tokens_per_s) for each in found] == [
        ("pc1", "plain", 3.0), ("pc1", "rpc", 2.0), ("pc2", "plain", 2.0),
    ]  # fmt: skip
    (tmp_path / "benchmarks.json").write_text("{")
    with pytest.raises(ConfigurationError, match="it is damaged; remove it and measure again"):
        await results.all()


class Consul(httpx.AsyncBaseTransport):
    """Its store."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/v1/kv/")
        if self.away:
            raise httpx.ConnectError("nobody")
        if request.method == "PUT":
            self.keys[key] = request.content
            return httpx.Response(200, text="true")
        found = [
            {"Key": name, "Value": base64.b64encode(value).decode()}
            for name, value in self.keys.items()
            if name.startswith(key)
        ]
        return httpx.Response(200, json=found) if found else httpx.Response(404)


async def test_in_a_house_they_lie_in_consul_and_what_is_none_is_passed_over() -> None:
    consul = Consul()
    results = ConsulResults(ConsulClient("consul:8500", transport=consul))
    assert await results.all() == []
    await results.keep(measurement(model="a b/c"))
    await results.keep(measurement(node="pc2"))
    consul.keys["benchmarks/pc3/x/plain"] = b"{}"
    # Somebody's row under another PC's name would take the place of that PC's own.
    consul.keys["benchmarks/pc2/third/plain"] = measurement(node="pc9").model_dump_json().encode()

    assert [(each.model, each.node) for each in await results.all()] == [("a b/c", "pc1"), ("other", "pc2")]
    assert sorted(consul.keys)[0] == "benchmarks/pc1/a_b_c/plain"
    consul.away = True
    with pytest.raises(ConsulUnreachableError):
        await results.all()
