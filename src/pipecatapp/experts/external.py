"""Experts that stand in no Consul: a file that names any OpenAI-compatible server; its key comes from the environment.

- name: writing
  url: https://llm.example/v1
  model: some-model
  api_key_env: WRITING_KEY
  description: letters and stories
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from pipecatapp.errors import ConfigurationError
from pipecatapp.registration import Registration, one_line, valid_name


class _Entry(BaseModel):
    """One expert of the file."""

    model_config = ConfigDict(extra="forbid")
    name: str
    url: HttpUrl
    model: str = ""
    api_key_env: str = ""
    description: str = ""
    context: int = Field(0, ge=0)
    slots: int = Field(0, ge=0)
    tools: bool | None = None
    engine: str = ""


_FILE = TypeAdapter(list[_Entry])


def load_external(path: Path, environment: Mapping[str, str]) -> list[Registration]:
    """The experts of the file (YAML, and so JSON too).

    Raises:
        ConfigurationError: it cannot be read, an entry is wrong, or a key is not in the environment.
    """
    try:
        entries = _FILE.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"EXTERNAL_EXPERTS_FILE {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"EXTERNAL_EXPERTS_FILE {path} is neither YAML nor JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"EXTERNAL_EXPERTS_FILE {path}: {where or 'the file'}: {first['msg']}; it is a list of "
            "name, url, model, api_key_env, description"
        ) from error
    return [_registration(entry, path, environment) for entry in entries]


def _registration(entry: _Entry, path: Path, environment: Mapping[str, str]) -> Registration:
    if not valid_name(entry.name):
        raise ConfigurationError(
            f"EXTERNAL_EXPERTS_FILE {path}: no expert can be called {entry.name!r}; use small letters, digits, - and _"
        )
    key = environment.get(entry.api_key_env, "") if entry.api_key_env else ""
    if entry.api_key_env and not key:
        raise ConfigurationError(
            f"EXTERNAL_EXPERTS_FILE {path}: the expert {entry.name} wants its key in {entry.api_key_env}, "
            "and the environment has none; set it in pipecatapp.env"
        )
    return Registration(
        expert=entry.name,
        url=str(entry.url).rstrip("/"),
        model=entry.model,
        engine=entry.engine,
        context=entry.context,
        tools=entry.tools,
        description=one_line(entry.description),
        slots=entry.slots,
        api_key=key,
        external=True,
    )
