"""Ansible's modules and filters of this repository as Python modules, for tests in an environment without Ansible."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PLUGINS = Path(__file__).resolve().parents[1] / "ansible/plugins"


def load(name: str) -> ModuleType:
    """``modules/cluster_vault`` as it is; what modules share is found under ``ansible.module_utils``, as in a run."""
    for package in ("ansible", "ansible.module_utils"):
        module = sys.modules.setdefault(package, ModuleType(package))
        module.__path__ = [*getattr(module, "__path__", [])]
    shared = sys.modules["ansible.module_utils"].__path__
    if str(PLUGINS / "module_utils") not in shared:
        shared.append(str(PLUGINS / "module_utils"))
    path = PLUGINS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
