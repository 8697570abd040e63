"""What Ansible would make of the templates of role power_agent, without Ansible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nativetypes
import yaml

ROLE = Path(__file__).resolve().parents[2] / "ansible/roles/power_agent"
UNITS = {
    "service": "pipecatapp-power.service",
    "activator.socket": "pipecatapp-power-activator.socket",
    "switch.socket": "pipecatapp-power-switch.socket",
    "switch.service": "pipecatapp-power-switch@.service",
}
HOUSE = {
    "ansible_managed": "Ansible", "app_home": "/opt/pipecatapp", "app_state_dir": "/var/lib/pipecatapp",
    "app_user": "pipecatapp", "engine_port": "8081", "cluster_enabled": False,
}  # fmt: skip


def _variables() -> dict[str, Any]:
    """The defaults as Ansible would have them: filled in, with their types."""
    native = jinja2.nativetypes.NativeEnvironment(autoescape=False)
    variables: dict[str, Any] = {**HOUSE}

    def filled(value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            return native.from_string(value).render(variables)
        if isinstance(value, list):
            return [filled(each) for each in value]
        return {name: filled(each) for name, each in value.items()} if isinstance(value, dict) else value

    defaults = yaml.safe_load((ROLE / "defaults/main.yaml").read_text())
    variables |= {name: value for name, value in defaults.items() if name != "power_agent_services"}
    variables |= {name: filled(value) for name, value in variables.items()}
    return variables | {"power_agent_services": filled(defaults["power_agent_services"])}


def rendered(name: str) -> str:
    """One template, with the role's defaults on one PC."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True)
    environment.filters |= {
        "comment": lambda text: f"# {text}",
        "to_nice_json": lambda value, sort_keys: json.dumps(value, indent=4, sort_keys=sort_keys),
    }
    return environment.get_template(f"{name}.j2").render(_variables())
