"""Where things lie: what a setting names, else what an installation put down, else what this checkout has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipecatapp.errors import ConfigurationError
from pipecatapp.settings import CONFIG_FILE, Settings

CHECKOUT = Path(__file__).resolve().parents[2]
# What people edit on an installed node.
INSTALLED = Path("/etc/pipecatapp")
# Beside the virtual environment of an installed node: the program's other files, and Ansible's own environment.
BESIDE = Path(sys.prefix).parent
PROGRAM = BESIDE / "program"


def prompts_folder(settings: Settings) -> Path:
    """The folder of the personas.

    Raises:
        ConfigurationError: there is none with a ``router.txt``.
    """
    if settings.prompts_dir is not None:
        places = [settings.prompts_dir]
    else:
        places = [INSTALLED / "prompts", CHECKOUT / "ansible/roles/pipecatapp/files/prompts"]
    for place in places:
        if (place / "router.txt").is_file():
            return place
    named = " or ".join(str(place) for place in places)
    raise ConfigurationError(f"there is no router.txt in {named}; set PROMPTS_DIR to the folder of the personas")


def models_file(settings: Settings) -> Path:
    """The catalogue of models."""
    places = [INSTALLED / "models.yaml", CHECKOUT / "group_vars/models.yaml"]
    return settings.models_file or next((place for place in places if place.is_file()), places[0])


def expert_keys_folder(settings: Settings) -> Path:
    """The folder with the key of each expert, ``<expert>.key``; it need not be there."""
    return settings.expert_keys_dir or INSTALLED / "experts"


def settings_folder() -> Path | None:
    """The folder with everything that people edit on an installed node; None where another file has the settings."""
    own = "PIPECATAPP_CONFIG" in os.environ and Path(os.environ["PIPECATAPP_CONFIG"]) != CONFIG_FILE
    return INSTALLED if INSTALLED.is_dir() and not own else None


def services_command() -> Path | None:
    """The command that stops and starts the services of an installed node; None elsewhere."""
    command = Path("/opt/pipecatapp/bin/services")
    return command if command.is_file() else None


def playbooks_folder(settings: Settings) -> Path | None:
    """The folder of the playbooks; None where there is none."""
    places = [CHECKOUT, PROGRAM]
    return settings.playbooks_dir or next((place for place in places if (place / "playbook.yaml").is_file()), None)


def ansible_folders() -> tuple[Path, ...]:
    """The folders that may hold ``ansible-playbook``, before the PATH."""
    return CHECKOUT / ".cache/provision/bin", BESIDE / "ansible/bin"


def commands_file(settings: Settings) -> Path:
    """The file with the household's own commands; there need be none."""
    return settings.commands_file or INSTALLED / "commands.yaml"


def mcp_servers_file(settings: Settings) -> Path | None:
    """The file that names servers of the Model Context Protocol; None where nobody wrote one."""
    if settings.mcp_servers_file is not None:
        return settings.mcp_servers_file
    installed = INSTALLED / "mcp.json"
    return installed if installed.is_file() else None
