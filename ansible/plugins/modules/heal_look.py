"""Ansible module: looks at what of the cluster is not well on this machine, and changes nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.disks import is_full, rooms
from ansible.module_utils.units import state_of, trouble

DOCUMENTATION = """
module: heal_look
short_description: Looks at what of the cluster is not well on this machine
description:
  - Its services, its disks, its clock, its jobs' files, and which of the cluster's programs it has.
options:
  asked_at:
    description: The control node's clock, in seconds since 1970.
    type: float
    required: true
  services:
    description: The folder with one folder for each service that is to run here (role C(service)).
    type: path
    required: true
  units:
    description: Further units that are to run where they are installed.
    type: list
    elements: str
    default: []
  folders:
    description: Folders whose disks must have room.
    type: list
    elements: path
    default: []
  least_free_mb:
    description: A disk with less free (MiB), and with less than a twentieth of its size, is full.
    type: int
    default: 300
"""

RETURN = """
seen: {description: What there is to know of the machine., type: dict}
"""

UNITS = Path("/etc/systemd/system")
JOBS = Path("/opt/nomad/jobs")


def look(given: dict[str, Any]) -> dict[str, Any]:
    """What there is to know of this machine."""
    names = [*wanted(Path(given["services"])), *given["units"]]
    states = {name: state_of(name) for name in names if (UNITS / f"{name}.service").exists()}
    folders = [Path(folder) for folder in given["folders"]]
    jobs = job_files(JOBS)
    return {
        "ahead": time.time() - given["asked_at"],
        "down": {name: why for name, state in states.items() if (why := trouble(state))},
        "asleep": sorted(name for name, state in states.items() if state.get("UnitFileState") == "disabled"),
        "full": [room for room in rooms(folders) if is_full(room, given["least_free_mb"])],
        "jobs": {name: file.stat().st_mtime for name, (file, _) in jobs.items()},
        "namespaces": {name: namespace for name, (_, namespace) in jobs.items()},
        "consul": version_in_use(Path("/opt/hashicorp/consul")) if Path("/etc/consul.d/consul.hcl").exists() else "",
        "nomad": version_in_use(Path("/opt/hashicorp/nomad")) if Path("/etc/nomad.d/nomad.hcl").exists() else "",
        "firewall": (UNITS / "pipecatapp-firewall.service").exists(),
    }


def wanted(services: Path) -> list[str]:
    """The services that are always to run as units here; what the cluster runs (``control``) is its business."""
    return sorted(
        folder.name
        for folder in (services.iterdir() if services.is_dir() else ())
        if _text(folder / "restart") == "always" and not (folder / "control").exists()
    )


# Of a job file, what stands in its outermost block.
_SETTING = re.compile(r'^  (type|namespace)\s*=\s*"([^"]*)"', re.MULTILINE)


def job_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """The files of jobs that are always to run, each with its namespace; what a person runs once is none of them."""
    found = {}
    for file in sorted(folder.glob("*.nomad")):
        said = dict(_SETTING.findall(_text(file)))
        if said.get("type", "service") in ("service", "system"):
            found[file.stem] = (file, said.get("namespace", "default"))
    return found


def version_in_use(folder: Path) -> str:
    """The version of a program that is in use; empty: none."""
    current = folder / "current"
    return current.readlink().name if current.is_symlink() else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "asked_at": {"type": "float", "required": True},
            "services": {"type": "path", "required": True},
            "units": {"type": "list", "elements": "str", "default": []},
            "folders": {"type": "list", "elements": "path", "default": []},
            "least_free_mb": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, seen=look(module.params))


if __name__ == "__main__":
    main()
