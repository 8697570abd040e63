"""Judges for role expert: which models are meant, which machines can take part, and the spec that they follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

# As src/pipecatapp/machine.py has them, oldest first, each with what it needs.
_CLASSES: dict[str, frozenset[str]] = {
    "core2": frozenset(),
    "penryn": frozenset({"sse4_1"}),
    "nehalem": frozenset({"sse4_2"}),
    "avx": frozenset({"avx"}),
    "avx2": frozenset({"avx2", "fma", "f16c"}),
    "avx512": frozenset({"avx512f", "avx512bw", "avx512vl", "avx2", "fma", "f16c"}),
}
_ORDER = list(_CLASSES)
# The model that every machine with the program has.
STARTER = "starter"
# A load from the slowest disk that a PC still has, and what an engine does before it.
_SLOW_DISK_MB_S, _BEFORE_S = 20, 180


def cpu_class(flags: Iterable[str]) -> str:
    """The class of a processor with these flags."""
    have = set(flags)
    return next(name for name in reversed(_ORDER) if _CLASSES[name] <= have)


def expert_models(wanted: Any, catalogue: Sequence[Mapping[str, Any]], starter: Mapping[str, Any]) -> dict[str, Any]:
    """The models that a list means.

    Args:
        wanted: names of the catalogue, or entries in its form.
        catalogue: ``main_models``.
        starter: the entry of the starter model.

    Returns:
        ``models``, and ``problem``, a sentence (empty: none).
    """
    if not isinstance(wanted, (list, tuple)) or not wanted:
        return {"models": [], "problem": "model_list is no list of models"}
    known = {model["name"]: model for model in [*catalogue, starter]}
    models = []
    for one in wanted:
        if isinstance(one, Mapping):
            if problem := _incomplete(one):
                return {"models": [], "problem": problem}
            models.append(one)
        elif (found := known.get(str(one))) is not None:
            models.append(found)
        else:
            return {
                "models": [],
                "problem": f"model_list has {one}, and group_vars/models.yaml knows no such main model",
            }
    return {"models": models, "problem": ""}


def _incomplete(model: Mapping[str, Any]) -> str:
    name = model.get("name", "a model without a name")
    missing = [key for key in ("name", "ram_mb", "variants") if not model.get(key)]
    if missing:
        return f"{name} in model_list has no {' and no '.join(missing)}"
    for variant in model["variants"]:
        for file in variant.get("files") or [{"name": "its variant"}]:
            if not file.get("sha256"):
                lacking = f"{file.get('name', 'a file')} has no sha256"
                return f"{name} in model_list: {lacking}, so nobody could tell whether it is right"
    return ""


def expert_place(
    models: Sequence[Mapping[str, Any]], machines: Mapping[str, Mapping[str, Any]], count: int, reserve_mb: int
) -> dict[str, Any]:
    """Where an expert may run, and with which file of each model.

    The machines are those that suit the best model which enough of them suit; where their processors differ, all take
    the file for the oldest, because a model that is shared has to be the same everywhere.

    Args:
        models: in the order of the wish.
        machines: ``cpu`` and ``ram_mb`` of each by name.
        count: how many take part.
        reserve_mb: what each needs beside its share of the model.

    Returns:
        ``machines``, ``models`` (each with its ``variant``), ``cpu`` (the oldest), ``cpu_classes`` and ``ram_mb`` for
        the job, ``left_out`` (in words), and ``problem``, a sentence (empty: none).
    """
    share = ceil(min(int(model["ram_mb"]) for model in models) / count) + reserve_mb
    roomy = {name for name, machine in machines.items() if int(machine["ram_mb"]) >= share}
    left_out = [
        f"{name} has {machines[name]['ram_mb']} MB of memory, and {share} are needed"
        for name in sorted(machines.keys() - roomy)
    ]
    for variant in (variant for model in models for variant in model["variants"]):
        chosen = sorted(name for name in roomy if _at_least(machines[name]["cpu"], variant["cpu"]))
        if len(chosen) >= count:
            break
    else:
        oldest = min((variant["cpu"] for model in models for variant in model["variants"]), key=_ORDER.index)
        wrong = [name for name in sorted(roomy) if not _at_least(machines[name]["cpu"], oldest)]
        left_out += [
            f"{name} has a processor of class {machines[name]['cpu']}, and {oldest} is needed" for name in wrong
        ]
        fit = len(roomy) - len(wrong)
        said = f": {'; '.join(left_out)}" if left_out else ""
        return {"problem": f"{count} machines are wanted, and {fit} of {len(machines)} can take part{said}"}
    left_out += [
        f"{name} has a processor of class {machines[name]['cpu']}, for which its models are not"
        for name in sorted(roomy - set(chosen))
    ]
    oldest = min((machines[name]["cpu"] for name in chosen), key=_ORDER.index)
    suited = []
    for model in models:
        variant = next((one for one in model["variants"] if _at_least(oldest, one["cpu"])), None)
        if variant is None:
            left_out.append(f"{model['name']} does not run on a processor of class {oldest}")
        else:
            suited.append({**model, "variant": variant})
    return {
        "machines": chosen,
        "models": suited,
        "cpu": oldest,
        "cpu_classes": _ORDER[_ORDER.index(oldest) :],
        "ram_mb": share,
        "left_out": left_out,
        "problem": "",
    }


def expert_spec_models(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The models as ``pipecatapp expert run`` reads them, from those of ``expert_place``."""
    return [
        {
            "name": model["name"],
            "file": model["variant"]["files"][0].get("path") or model["variant"]["files"][0]["name"],
            "files": [file["name"] for file in model["variant"]["files"]],
            "sha256": {file["name"]: file["sha256"] for file in model["variant"]["files"]},
            "size": _size(model["variant"]),
            "ram_mb": int(model["ram_mb"]),
            "context": int(model.get("context") or 4096),
            "cpu": model["variant"]["cpu"],
            "quantization": model["variant"].get("quantization", ""),
        }
        for model in models
    ]


def load_limit_s(models: Sequence[Mapping[str, Any]]) -> int:
    """Seconds in which the biggest of them is loaded from a slow disk."""
    return _BEFORE_S + ceil(max(_size(model["variant"]) for model in models) / 1_000_000 / _SLOW_DISK_MB_S)


def _size(variant: Mapping[str, Any]) -> int:
    known = [file.get("size") for file in variant["files"]]
    return sum(map(int, known)) if all(known) else int(variant["size_mb"]) * 1_000_000


def _at_least(cpu: str, other: str) -> bool:
    return _ORDER.index(cpu) >= _ORDER.index(other)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """By their names in templates."""
        return {
            "cpu_class": cpu_class,
            "expert_models": expert_models,
            "expert_place": expert_place,
            "expert_spec_models": expert_spec_models,
            "load_limit_s": load_limit_s,
        }
