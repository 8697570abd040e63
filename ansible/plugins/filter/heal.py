"""Judges for role heal what its modules saw: a lost quorum, who has a job's newest file, and the report in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NAMES = {"consul": "Consul", "nomad": "Nomad"}
_PORTS = {"consul": "8300 and 8301", "nomad": "4647 and 4648"}


def quorums(states: Mapping[str, Any], servers: Sequence[str], asked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """For each program whether more than half of its servers are lost, and what to say about it.

    Args:
        states: what ``cluster_health`` returned, by the name of the machine; those that answered.
        servers: the controllers of the inventory.
        asked: the machines that this run wanted to reach.

    Returns:
        By program: ``program``, ``lost``, ``left`` (servers that answer), ``gone``, ``warning``, ``refusal`` (why it is
        not recovered even if that is wanted; empty: it may be) and ``open``.
    """
    found = {}
    for program, name in _NAMES.items():
        known = {machine: state[program] for machine, state in states.items() if program in state}
        left = [server for server in servers if server in known and known[server]["has_log"]]
        # Who votes says the log of one that is left; without a leader it may refuse to tell.
        voters = {voter for server in left for voter in known[server]["voters"]} or set(servers)
        gone = sorted(voters - set(left))
        led = any(state["leader"] for state in known.values())
        lost = bool(left) and not led and 2 * len(voters & set(left)) <= len(voters)
        unasked = sorted(set(servers) - set(asked))
        refusal = f"this run did not ask {_list(unasked)}" if unasked else ""
        found[program] = {
            "program": program,
            "lost": lost,
            "left": left,
            "gone": gone,
            "refusal": refusal,
            "warning": _recovery(name, left, gone) if lost else "",
            "open": _lost(name, left, gone, refusal) if lost else {},
        }
    return found


def _recovery(name: str, left: Sequence[str], gone: Sequence[str]) -> str:
    goes, knows, hears = ("goes", "knows", "has") if len(left) == 1 else ("go", "know", "have")
    return (
        f"{name}: {_list(left)} {goes} on without {_list(gone)}, with what {_list(left)} {knows}. What"
        f" {_list(gone)} had confirmed last is lost where {_list(left)} {hears} not heard of it. {_list(gone)} must not"
        " come back with the old disk, or there are two clusters: install anew first, then playbook.yaml."
    )


def _lost(name: str, left: Sequence[str], gone: Sequence[str], refusal: str) -> dict[str, str]:
    on = f"Switch {_list(gone)} on and run this again"
    anew = f"run it without --limit, because {refusal}" if refusal else "run this again with -e heal_recover_quorum=yes"
    return {
        "problem": f"{name} has no quorum: {_list(gone)} cannot be asked, and {_list(left)} alone may elect nobody",
        "next": f"{on}; nothing is lost then. Only if that can never be, {anew}: {_recovery(name, left, gone)}",
    }


def newest_files(files: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Which machine has the newest file of each job.

    Args:
        files: the time of each job's file, by machine.
    """
    newest: dict[str, tuple[float, str]] = {}
    for machine, jobs in files.items():
        for job, changed in jobs.items():
            if job not in newest or changed > newest[job][0]:
                newest[job] = (changed, machine)
    return {job: machine for job, (_, machine) in sorted(newest.items())}


def jobs_mended(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """What ``nomad_job`` ran again, in words."""
    done = [result for result in results if result.get("changed") and not _why(result)]
    return [f"the job {each['item']} did not run: run again, on {_list(each['nodes']) or 'no node'}" for each in done]


def jobs_open(results: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What it could not."""
    return [
        {"problem": why, "next": f"look at `sudo nomad job status {each['item']}` on a controller"}
        for each in results
        if (why := _why(each))
    ]


def _why(result: Mapping[str, Any]) -> str:
    # A module that succeeds has no message.
    return "" if result.get("skipped") else str(result.get("msg", ""))


def heal_report(told: Mapping[str, Any], machines: Sequence[str], quorum: Mapping[str, Any]) -> dict[str, Any]:
    """All of it for people.

    Args:
        told: by machine C(mended), C(open) and C(state); those that are missing did not answer, or failed.
        machines: all that were asked.
        quorum: what ``quorums`` found.

    Returns:
        ``lines`` and ``open``, how much of it needs a person.
    """
    lines: list[str] = []
    left = 0
    for machine in machines:
        if machine not in told:
            lines += _problem(machine, *_SILENT)
            left += 1
            continue
        one = told[machine]
        problems = [*one["open"], *_troubles(one["state"], quorum)]
        lines += [f"{machine}: {words}." for words in one["mended"]]
        for each in problems:
            lines += _problem(machine, each["problem"], each["next"])
        if not one["mended"] and not problems:
            lines.append(f"{machine}: well.")
        left += len(problems)
    return {"lines": lines + _notes(told, machines), "open": left}


_SILENT = (
    "does not answer, or a step above FAILED there",
    "switch it on and look at its cable; if it is gone for good, take it out of the inventory",
)


def _problem(machine: str, problem: str, step: str) -> list[str]:
    return [f"{machine}: NOT MENDED: {problem}.", f"    Next: {step.rstrip('.')}."]


def _troubles(state: Mapping[str, Any], quorum: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a program still lacks. A lost quorum is told once, not by every machine that waits for it."""
    return [
        {
            "problem": f"{_NAMES[program]} {found['trouble']}",
            "next": f"look at `journalctl --unit={program}` there; it must reach the controllers at the ports"
            f" {_PORTS[program]}, and all clocks must agree",
        }
        for program, found in state.items()
        if found["trouble"] and not (quorum.get(program, {}).get("lost") and not found["leader"])
    ]


def _notes(told: Mapping[str, Any], machines: Sequence[str]) -> list[str]:
    """What others know and nobody has to mend."""
    notes: dict[str, None] = {}
    for one in told.values():
        for program, found in one["state"].items():
            for member, status in found["members"].items():
                if member not in machines and status in ("alive", "ready", "failed"):
                    notes[f"Note: {_NAMES[program]} knows {member} ({status}), which this run does not."] = None
                if "draining" in status or "takes no jobs" in status:
                    enable = f"sudo nomad node eligibility -enable {member}"
                    notes[f"Note: {member} is {status}, as somebody wished; `{enable}` ends that."] = None
    return list(notes)


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """By their names in templates."""
        return {
            "quorums": quorums,
            "newest_files": newest_files,
            "jobs_mended": jobs_mended,
            "jobs_open": jobs_open,
            "heal_report": heal_report,
        }
