"""The agent's table of nft in a network of its own: what is led where, and that it leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from power_agent.errors import DriverError
from power_agent.gate import TABLE, Redirect, table
from testing.network_namespace import Namespace, network_namespace

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace]:
    with network_namespace([["nft", "list", "tables"]]) as namespace:
        yield namespace


@pytest.mark.parametrize(
    ("host", "kind", "element"),
    [("127.0.0.1", "4", ["127.0.0.1", 8081]), ("::1", "6", ["::1", 8081]), ("0.0.0.0", "", 8081)],
)
async def test_elements_come_stay_and_leave(network: Namespace, host: str, kind: str, element: object) -> None:
    async def apply(rules: str) -> None:
        done = subprocess.run(
            network.command("nft", "-f", "-"), input=rules, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise DriverError(done.stderr)

    def elements(name: str) -> list[object]:
        said = network.run(
            "nft", "--json", "list", "map" if name == "parked" else "set", "inet", TABLE, f"{name}{kind}"
        )
        (found,) = (each for each in json.loads(said)["nftables"] if "metainfo" not in each)
        listed = next(iter(found.values())).get("elem", [])
        keys = [each[0] if name == "parked" else each for each in listed]
        return [key["elem"]["val"] for key in keys]

    def plain(key: object) -> object:
        return key["concat"] if isinstance(key, dict) else key

    redirect = Redirect(host, 8081, 18081, apply)
    for _ in range(2):  # an agent that starts anew replaces its table
        await apply(table("root"))
        await redirect.open()  # nothing there is no error
        await redirect.close()
        assert ([plain(key) for key in elements("parked")], [plain(key) for key in elements("held")]) == (
            [element], [element],
        )  # fmt: skip
        await redirect.settle()
        await redirect.refresh()
        assert ([plain(key) for key in elements("parked")], elements("held")) == ([element], [])
        await redirect.open()
        assert (elements("parked"), elements("held")) == ([], [])
