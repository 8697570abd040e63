"""Ansible module: a Nomad job as a file describes it, watched until it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ansible.module_utils.nomad_http import ARGUMENTS, Nomad, NomadError, from_parameters

DOCUMENTATION = """
module: nomad_job
short_description: Runs or stops a Nomad job, and says what keeps it from running
description:
  - What runs is compared with the file by Nomad's own plan, so a second run changes nothing.
  - Counts that somebody scaled stay (`preserve_counts`); a job that was stopped starts again.
  - It waits with a limit. A job that finds no place stays registered, and the error says which nodes refused it, why.
  - The token may submit jobs.
  - A dry run says in C(plan) what it would do.
extends_documentation_fragment: [nomad_api]
options:
  name:
    description: The job's ID.
    type: str
    required: true
  namespace:
    description: Where the job is. In a namespace that does not exist yet a dry run plans it in the default one.
    type: str
    default: default
  file:
    description: The job in HCL. Not needed where the state is `absent`.
    type: path
    default: ''
  source:
    description: The job in HCL, where there is no file with it yet.
    type: str
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
  purge:
    description: With C(state=absent), let Nomad forget the job at once, also one that was stopped before.
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
plan:
  description: In a dry run, what it would do, in words.
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
        namespace: where it is.
    """

    def __init__(self, nomad: Nomad, name: str, namespace: str = "default") -> None:
        self._nomad = nomad
        self._name = name
        self._namespace = namespace

    def _path(self, below: str = "", **query: str) -> str:
        """A path of the API about this job."""
        asked = query if self._namespace == "default" else {"namespace": self._namespace, **query}
        return f"/v1/job/{quote(self._name, safe='')}{below}{f'?{urlencode(asked)}' if asked else ''}"

    def known(self) -> dict[str, Any] | None:
        """The job as it is registered, also where it was stopped; None where there is none."""
        found: dict[str, Any] | None = self._nomad.find(self._path())
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
        if (inside := job.get("Namespace") or "default") != self._namespace:
            raise NomadError(f"the file describes a job of the namespace {inside!r}")
        # A dry run may come before the namespace.
        there = job if self._is_there() else {**job, "Namespace": "default"}
        checked = self._nomad.patiently("POST", "/v1/validate/job", {"Job": there})
        if checked["ValidationErrors"]:
            raise NomadError("; ".join(checked["ValidationErrors"]))
        return job

    def plan(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """What registering it would change, as Nomad says it."""
        found: dict[str, Any] = self._nomad.patiently("POST", self._path("/plan"), {"Job": wanted, "Diff": True})
        return found

    def differs(self, wanted: dict[str, Any]) -> bool:
        """Whether registering it would change anything."""
        return bool(self.plan(wanted)["Diff"]["Type"] != "None")

    def foreseen(self, wanted: dict[str, Any]) -> list[str]:
        """What registering it would do, in words. Nobody can plan in a namespace that does not exist yet."""
        if self._is_there():
            return in_words(self.plan(wanted))
        elsewhere = Job(self._nomad, self._name)
        first = f"the namespace {self._namespace} would be made"
        return [first, *in_words(elsewhere.plan({**wanted, "Namespace": "default"}))]

    def _is_there(self) -> bool:
        named = f"/v1/namespace/{quote(self._namespace, safe='')}"
        return self._namespace == "default" or self._nomad.find(named) is not None

    def register(self, wanted: dict[str, Any], source: str) -> None:
        """Make it run."""
        submission = {"Source": source, "Format": "hcl2"}
        self._nomad.patiently("POST", "/v1/jobs", {"Job": wanted, "Submission": submission})

    def place_anew(self) -> None:
        """Let the scheduler place what failed, however often it has."""
        options = {"JobID": self._name, "Namespace": self._namespace, "EvalOptions": {"ForceReschedule": True}}
        self._nomad.patiently("POST", self._path("/evaluate"), options)

    def stop(self, *, purge: bool = False) -> None:
        """Stop it. Nomad forgets it after some hours; with ``purge`` at once."""
        self._nomad.patiently("DELETE", self._path(**({"purge": "true"} if purge else {})))

    def running(self, wanted: dict[str, Any]) -> tuple[list[str], str]:
        """The nodes on which this version of it runs, and what is missing (empty: nothing)."""
        found = self._nomad.get(self._path("/allocations"))
        version = self._nomad.get(self._path())["Version"]
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
            for one in self._nomad.get(self._path("/allocations"))
            if one["ClientStatus"] in ("running", "pending")
        ]
        return f"still on {', '.join(sorted(live))}" if live else ""

    def _why(self, group: str, allocations: list[dict[str, Any]]) -> str:
        """What the last placement met, or what the youngest attempt died of."""
        evaluations = sorted(self._nomad.get(self._path("/evaluations")), key=lambda one: -one["ModifyIndex"])
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


# Nomad's words for what it would do with allocations, and ours.
_UPDATES = {
    "Place": "start {count}",
    "Stop": "stop {count}",
    "Migrate": "move {count}",
    "InPlaceUpdate": "update {count} in place",
    "DestructiveUpdate": "replace {count}",
    "Ignore": "leave {count} as they are",
}


def in_words(plan: dict[str, Any]) -> list[str]:
    """What Nomad's plan says, one line for each thing."""
    kind = {"None": "the job is as it should be", "Added": "the job would be made"}
    said = [kind.get(plan["Diff"]["Type"], "the job would be changed")]
    for group, updates in sorted(((plan.get("Annotations") or {}).get("DesiredTGUpdates") or {}).items()):
        doing = [words.format(count=count) for key, words in _UPDATES.items() if (count := updates.get(key))]
        said += [f"{group}: {', '.join(doing)}"] if doing else []
    for group, metric in sorted((plan.get("FailedTGAllocs") or {}).items()):
        said.append(f"{group} would find no place: {refusals(metric)}")
    return said


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


def wish(job: Job, source: str, current: dict[str, Any] | None, *, preserve_counts: bool) -> dict[str, Any]:
    """The job that a file describes; where it sleeps it is not woken."""
    wanted = job.parsed(source)
    return with_counts(wanted, current) if current is not None and preserve_counts else wanted


def bring_up(job: Job, source: str, given: dict[str, Any], dry: bool) -> tuple[bool, list[str], str]:
    """Register the job where it differs and watch it: whether it changed, where it runs, what is missing."""
    current = job.current()
    wanted = wish(job, source, current, preserve_counts=given["preserve_counts"])
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
    wanted = wish(job, source, known, preserve_counts=True)
    if dry:
        return True, [], ""
    job.register(wanted, source)
    job.place_anew()
    missing = watch(lambda: job.running(wanted)[1], given["timeout"], given["lasting"])
    return True, job.running(wanted)[0], missing


def take_down(job: Job, limit: float, dry: bool, purge: bool = False) -> tuple[bool, str]:
    """Stop the job where it runs, and with ``purge`` forget it: whether it did, and what still runs of it."""
    if (job.known() if purge else job.current()) is None:
        return False, ""
    if dry:
        return True, ""
    # What is purged at once is no longer told of, although it still runs.
    job.stop()
    missing = watch(job.ended, limit)
    if purge and not missing:
        job.stop(purge=True)
    return True, missing


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": "default"},
            "file": {"type": "path", "default": ""},
            "source": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "preserve_counts": {"type": "bool", "default": True},
            "again": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", "present", ["file", "source"], True)],
        supports_check_mode=True,
    )
    given = module.params
    job = Job(from_parameters(given), given["name"], given["namespace"])
    nodes: list[str] = []
    plan: list[str] = []
    try:
        given["lasting"] = LASTING_S
        if given["state"] == "absent":
            changed, missing = take_down(job, given["timeout"], module.check_mode, given["purge"])
        else:
            source = given["source"] or Path(given["file"]).read_text(encoding="utf-8")
            bring = bring_back if given["again"] else bring_up
            changed, nodes, missing = bring(job, source, given, module.check_mode)
            if module.check_mode and changed:
                plan = job.foreseen(wish(job, source, job.known(), preserve_counts=given["preserve_counts"]))
    except NomadError as error:
        module.fail_json(msg=f"job {given['name']}: {error}")
    if missing:
        waited = f"after {given['timeout']} s"
        module.fail_json(msg=f"job {given['name']} {waited}: {missing}", changed=changed, nodes=nodes)
    module.exit_json(changed=changed, nodes=nodes, plan=plan)


if __name__ == "__main__":
    main()
