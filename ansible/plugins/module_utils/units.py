"""Units of this machine's systemd."""

from __future__ import annotations

import subprocess


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemctl to its end, or for two minutes."""
    command = ["timeout", "120", "systemctl", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def state_of(unit: str) -> dict[str, str]:
    """What systemd says of a unit."""
    properties = "ActiveState,SubState,Result,UnitFileState,LoadState"
    said = systemctl("show", f"--property={properties}", f"{unit}.service").stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def trouble(state: dict[str, str]) -> str:
    """Why a unit does not run; empty: it runs."""
    active = state.get("ActiveState", "")
    if state.get("LoadState") == "masked":
        return "masked"
    if active == "active" or (active == "activating" and state.get("SubState") != "auto-restart"):
        return ""
    if active == "failed" or state.get("SubState") == "auto-restart":
        return f"failed ({state.get('Result') or 'no reason given'})"
    return "stopped"
