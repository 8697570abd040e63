"""No role asks a machine of the house through a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from testing.ansible_plugins import PLUGINS

pytestmark = pytest.mark.unit


def requests(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield from (options for name, options in value.items() if name == "ansible.builtin.uri")
        value = list(value.values())
    for one in value if isinstance(value, list) else []:
        yield from requests(one)


def test_the_roles_ask_the_house_alone_and_without_a_proxy() -> None:
    files = (PLUGINS.parent / "roles").glob("*/*/*.yaml")
    found = [(file, asked) for file in files for asked in requests(yaml.safe_load(file.read_text(encoding="utf-8")))]

    assert len(found) >= 8
    assert [(file.name, asked["url"]) for file, asked in found if asked.get("use_proxy") is not False] == []
