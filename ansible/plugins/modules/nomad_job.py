"""Ansible module: a Nomad job as a file describes it, watched until it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_job
short_description: Runs or stops a Nomad job, and says what keeps it from running
description:
  - What runs is compared with the file by Nomad's own plan, so a second run changes nothing.
  - Counts that somebody scaled stay (`preserve_counts`); a job that was stopped starts again.
  - It waits with a limit. A job that finds no place stays registered, and the error says which nodes refused it, why.
  - The token may submit jobs.
extends_documentation_fragment: [nomad_api]
options:
  name:
    description: The job's ID.
    type: str
    required: true
  file:
    description: The job in HCL. Not needed where the state is `absent`.
    type: path
    default: ''
  state:
    description: Whether it is to run.
    type: str
    choices: [present, absent]
    default: present
  preserve_counts:
    description: Leave the counts of its groups as they are where it runs already.
    type: bool
    default: true
  again:
    description: Only mend. A job that runs stays as it is, whatever the file says; one that was stopped, or of which
      less runs than should, is run again from the file, with the counts that it had.
    type: bool
    default: false
  patience:
    description: With C(again), seconds in which it may come up by itself.
    type: int
    default: 0
  timeout:
    description: Seconds until it must run.
    type: int
    default: 120
"""

RETURN = """
nodes:
  description: The names of the nodes on which it runs.
  type: list
  elements: str
"""


# A program that dies at once was up, too.
LASTING_S = 1.0


class Job:
    """A job by its ID.

    Args:
        nomad: the API.
        name: the job's ID.
    """

    def __init__(self, nomad: Nomad, name: str) -> None:
        self._nomad = nomad
        self._name = name
        self._path = f"/v1/job/{quote(name, safe='')}"

    def known(self) -> dict[str, Any] | None:
        """The job as it is registered, also where it was stopped; None where there is none."""
        found: dict[str, Any] | None = self._nomad.find(self._path)
        return found

    def current(self) -> dict[str, Any] | None:
        """The job as it is registered, None where there is none or it was stopped."""
        found = self.known()
        return None if found is None or found["Stop"] else found

    def parsed(self, source: str) -> dict[str, Any]:
        """The job that HCL describes.

        Raises:
            NomadError: it is no valid job, or it has another ID.
        """
        job: dict[str, Any] = self._nomad.patiently("POST", "/v1/jobs/parse", {"JobHCL": source, "Canonicalize": True})
        if job["ID"] != self._name:
            raise NomadError(f"the file describes the job {job['ID']!r}")
        checked = self._nomad.patiently("POST", "/v1/validate/job", {"Job": job})
        if checked["ValidationErrors"]:
            raise NomadError("; ".join(checked["ValidationErrors"]))
        return job

    def differs(self, wanted: dict[str, Any]) -> bool:
        """Whether registering it would change anything."""
        plan = self._nomad.patiently("POST", f"{self._path}/plan", {"Job": wanted, "Diff": True})
        return bool(plan["Diff"]["Type"] != "None")

    def register(self, wanted: dict[str, Any], source: str) -> None:
        """Make it run."""
        submission = {"Source": source, "Format": "hcl2"}
        self._nomad.patiently("POST", "/v1/jobs", {"Job": wanted, "Submission": submission})

    def place_anew(self) -> None:
        """Let the scheduler place what failed, however often it has."""
        options = {"JobID": self._name, "EvalOptions": {"ForceReschedule": True}}
        self._nomad.patiently("POST", f"{self._path}/evaluate", options)

    def stop(self) -> None:
        """Stop it. Nomad forgets it after some hours."""
        self._nomad.patiently("DELETE", self._path)

    def running(self, wanted: dict[str, Any]) -> tuple[list[str], str]:
        """The nodes on which this version of it runs, and what is missing (empty: nothing)."""
        found = self._nomad.get(f"{self._path}/allocations")
        version = self._nomad.get(self._path)["Version"]
        live = [one for one in found if one["DesiredStatus"] == "run" and one["ClientStatus"] == "running"]
        nodes = sorted(one["NodeName"] for one in live)
        for group in wanted["TaskGroups"]:
            there = [one for one in live if one["TaskGroup"] == group["Name"] and one["JobVersion"] == version]
            if len(there) < group["Count"]:
                few = f"{group['Name']}: {len(there)} of {group['Count']} run"
                return nodes, self._why(group["Name"], found) or few
        return nodes, ""

    def ended(self) -> str:
        """What of it still runs; empty: nothing."""
        live = [
            one["NodeName"]
            for one in self._nomad.get(f"{self._path}/allocations")
            if one["ClientStatus"] in ("running", "pending")
        ]
        return f"still on {', '.join(sorted(live))}" if live else ""

    def _why(self, group: str, allocations: list[dict[str, Any]]) -> str:
        """What the last placement met, or what the youngest attempt died of."""
        evaluations = sorted(self._nomad.get(f"{self._path}/evaluations"), key=lambda one: -one["ModifyIndex"])
        for evaluation in evaluations[:3]:
            if failed := (evaluation.get("FailedTGAllocs") or {}).get(group):
                return f"{group} finds no place: {refusals(failed)}"
        mine = sorted((one for one in allocations if one["TaskGroup"] == group), key=lambda one: -one["CreateIndex"])
        for one in mine[:1]:
            for task, state in (one["TaskStates"] or {}).items():
                said = [event["DisplayMessage"] for event in state["Events"] or [] if event["DisplayMessage"]]
                if said and state["State"] != "running":
                    return f"{task} on {one['NodeName']}: {said[-1]}"
        return ""


def refusals(metric: dict[str, Any]) -> str:
    """Why no node took a group, from what the scheduler counted."""
    said = []
    if not metric.get("NodesEvaluated"):
        said.append("no node is ready in its datacenter and pool")
    for key, words in (("ConstraintFiltered", "{count} nodes do not meet: {what}"),
                       ("DimensionExhausted", "{count} nodes have too little: {what}"),
                       ("ClassFiltered", "{count} nodes are of the class {what}")):  # fmt: skip
        said += [words.format(count=count, what=what) for what, count in sorted((metric.get(key) or {}).items())]
    return "; ".join(said) or "the scheduler does not say why"


def with_counts(wanted: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """The wanted job with the counts that the current one has."""
    counts = {group["Name"]: group["Count"] for group in current["TaskGroups"]}
    groups = [{**group, "Count": counts.get(group["Name"], group["Count"])} for group in wanted["TaskGroups"]]
    return {**wanted, "TaskGroups": groups}


def watch(test: Any, limit: float, lasting: float = 0) -> str:
    """Ask ``test`` until it returns nothing, for ``lasting`` seconds on end; its last words after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    good_since: float | None = None
    while True:
        try:
            missing = str(test())
        except NomadError as error:
            if not error.passing:
                raise
            missing = str(error)
        now = time.monotonic()
        good_since = None if missing else good_since if good_since is not None else now
        if good_since is not None and now - good_since >= lasting:
            return ""
        if now > deadline:
            return missing or "it does not stay up"
        time.sleep(0.5)


def bring_up(job: Job, source: str, given: dict[str, Any], dry: bool) -> tuple[bool, list[str], str]:
    """Register the job where it differs and watch it: whether it changed, where it runs, what is missing."""
    wanted = job.parsed(source)
    current = job.current()
    if current is not None and given["preserve_counts"]:
        wanted = with_counts(wanted, current)
    changed = current is None or job.differs(wanted)
    if dry:
        return changed, [], ""
    if changed:
        job.register(wanted, source)
    missing = watch(lambda: job.running(wanted)[1], given["timeout"], given["lasting"] if changed else 0)
    return changed, job.running(wanted)[0], missing


def bring_back(job: Job, source: str, given: dict[str, Any], dry: bool) -> tuple[bool, list[str], str]:
    """Run the job again where it lacks something: whether it did, where it runs, what is still missing."""
    known = job.known()
    if known is not None and not known["Stop"] and not watch(lambda: job.running(known)[1], given["patience"]):
        return False, job.running(known)[0], ""
    wanted = job.parsed(source)
    if known is not None:
        wanted = with_counts(wanted, known)
    if dry:
        return True, [], ""
    job.register(wanted, source)
    job.place_anew()
    missing = watch(lambda: job.running(wanted)[1], given["timeout"], given["lasting"])
    return True, job.running(wanted)[0], missing


def take_down(job: Job, limit: float, dry: bool) -> tuple[bool, str]:
    """Stop the job where it runs: whether it did, and what still runs of it."""
    if job.current() is None:
        return False, ""
    if dry:
        return True, ""
    job.stop()
    return True, watch(job.ended, limit)


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "file": {"type": "path", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "preserve_counts": {"type": "bool", "default": True},
            "again": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", "present", ["file"])],
        supports_check_mode=True,
    )
    given = module.params
    job = Job(from_parameters(given), given["name"])
    nodes: list[str] = []
    try:
        given["lasting"] = LASTING_S
        if given["state"] == "absent":
            changed, missing = take_down(job, given["timeout"], module.check_mode)
        else:
            source = Path(given["file"]).read_text(encoding="utf-8")
            bring = bring_back if given["again"] else bring_up
            changed, nodes, missing = bring(job, source, given, module.check_mode)
    except NomadError as error:
        module.fail_json(msg=f"job {given['name']}: {error}")
    if missing:
        waited = f"after {given['timeout']} s"
        module.fail_json(msg=f"job {given['name']} {waited}: {missing}", changed=changed, nodes=nodes)
    module.exit_json(changed=changed, nodes=nodes)


if __name__ == "__main__":
    main()
