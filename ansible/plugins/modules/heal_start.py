"""Ansible module: starts the services of a machine that do not run, and says what came of it."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from ansible.module_utils.units import state_of, systemctl, trouble

DOCUMENTATION = """
module: heal_start
short_description: Starts the services of a machine that do not run
description:
  - Only those that it is given; each with its own words on what came of it.
options:
  down:
    description: Why a unit does not run (C(stopped), C(failed ...), C(masked)), by its name.
    type: dict
    required: true
  asleep:
    description: Units that do not start at boot.
    type: list
    elements: str
    default: []
"""

RETURN = """
mended: {description: What runs again, in words., type: list}
open: {description: 'What does not: C(problem) and C(next).', type: list}
"""

# What others need comes first.
_FIRST = ("pipecatapp-firewall", "consul", "nats", "nomad")
# A program that cannot go on ends within this.
LASTING_S = 2.0
# How lines begin that systemd itself writes about a unit.
_OF_SYSTEMD = ("Started ", "Starting ", "Stopped ", "Stopping ")


def order(names: list[str]) -> list[str]:
    """The units in the order of their start."""
    known = {name: place for place, name in enumerate(_FIRST)}
    return sorted(names, key=lambda name: (known.get(name, len(_FIRST)), name))


def last_words(unit: str) -> str:
    """The last line that a unit logged."""
    command = ["journalctl", "--unit", unit, "--lines=20", "--output=cat", "--no-pager", "--quiet"]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
    lines = [line.strip() for line in said.splitlines()]
    own = [line for line in lines if line and not line.startswith(_OF_SYSTEMD) and f"{unit}.service" not in line]
    return own[-1][-200:] if own else ""


def start(down: dict[str, str]) -> tuple[list[str], list[dict[str, str]]]:
    """Start the units; what runs again, and what does not."""
    tried = [unit for unit in order(list(down)) if down[unit] != "masked"]
    for unit in tried:
        systemctl("reset-failed", f"{unit}.service")
        systemctl("start", f"{unit}.service")
    if tried:
        time.sleep(LASTING_S)
    runs = {unit for unit in tried if not trouble(state_of(unit))}
    mended = [f"{unit} had {down[unit]}: started" for unit in tried if unit in runs]
    silent = [
        {
            "problem": f"{unit} does not start" + (f"; it says: {words}" if (words := last_words(unit)) else ""),
            "next": f"look at `journalctl --unit={unit}` there, or bring back its files with playbook.yaml",
        }
        for unit in tried
        if unit not in runs
    ]
    masked = [
        {"problem": f"{unit} is masked: somebody forbade its start", "next": f"`systemctl unmask {unit}` there"}
        for unit in down
        if unit not in tried
    ]
    return mended, silent + masked


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "down": {"type": "dict", "required": True},
            "asleep": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    if module.check_mode:
        module.exit_json(changed=bool(given["down"] or given["asleep"]), mended=[], open=[])
    for unit in given["asleep"]:
        systemctl("enable", f"{unit}.service")
    mended, left = start(given["down"])
    mended = [f"{unit} did not start at boot: it does again" for unit in given["asleep"]] + mended
    module.exit_json(changed=bool(mended), mended=mended, open=left)


if __name__ == "__main__":
    main()
