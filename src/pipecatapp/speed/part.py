"""Puts together where measurements are kept, and what the page shows of them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError
from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.machine import detect
from pipecatapp.paths import models_file
from pipecatapp.settings import Settings, load_settings
from pipecatapp.speed.forecast import forecasts
from pipecatapp.speed.results import ConsulResults, FileResults, Results


def create_results(settings: Settings) -> Results:
    """Where this PC keeps what it measures: with the house, where there is a Consul."""
    if not settings.consul_http_addr:
        return FileResults(settings.state_dir / "benchmarks.json")
    return ConsulResults(ConsulClient(settings.consul_http_addr, settings.consul_http_token, renewed=_token_now))


def create_speeds(settings: Settings) -> Speeds:
    """What the page shows.

    Raises:
        ConfigurationError: the catalogue is wrong.
    """
    return Speeds(create_results(settings), Catalogue.load(models_file(settings)))


def _token_now() -> str:
    try:
        return load_settings().consul_http_token
    except ConfigurationError:  # a person is writing the file
        return ""


class Speeds:
    """Measured and forecast speeds, for the page.

    Args:
        results: what was measured.
        catalogue: the models of which it says how fast they will be.
    """

    def __init__(self, results: Results, catalogue: Catalogue) -> None:
        self._results = results
        self._catalogue = catalogue

    async def table(self) -> Mapping[str, Any]:
        """Rows as JSON; where the results cannot be read, why, and the forecasts without them."""
        problem = ""
        try:
            rows = await self._results.all()
        except (ConsulUnreachableError, ConfigurationError) as error:
            rows, problem = [], str(error)
        found = forecasts(self._catalogue.of("main"), detect(), rows, socket.gethostname())
        return {
            "measured": [row.model_dump(mode="json") | {"tokens_per_s": row.tokens_per_s} for row in rows],
            "forecasts": [each.as_json() for each in found],
            "problem": problem,
        }
