"""How the house is, in words that need no knowledge of clusters."""

from __future__ import annotations

from collections.abc import Sequence

from pipecatapp.cluster.house import House, Pc
from pipecatapp.cluster.roster import Job, Member, Roster, Service

ALONE = (
    "This PC stands alone, and all is well that way: its memory is one copy, on its own disk. Back it up now and then "
    "(docs/operations/backup.md). A second PC makes the assistant more capable, and three keep one memory: "
    "docs/operations/cluster.md says how they become one house."
)
ONE_COPY = (
    "There is one copy of the memory, on the disk of the PC that answers: what is said is saved there. Back it up now "
    "and then (docs/operations/backup.md); with three controllers it is kept in several (docs/operations/survive.md)."
)


_TITLES = {"pipecat-app": "The assistant", "tool-server": "Tools", "nomad": "Starts and stops programs (Nomad)",
           "nomad-client": "Starts programs on each PC (Nomad)", "consul": "Knows who is where (Consul)"}  # fmt: skip
_EXPERT = "prima-api-"


def title(name: str) -> str:
    """What a service or a job is, for people; its name where nothing better is known."""
    return f"Expert: {name.removeprefix(_EXPERT)}" if name.startswith(_EXPERT) else _TITLES.get(name, name)


def verdict(house: House) -> str:
    """Whether what is said is saved, what may be lost, and what to do."""
    there, servers = house.servers
    if not house.active:
        why = (
            f"only {there} of {servers} PCs that keep the memory can be reached from here; start the others"
            if 2 * there <= servers
            else "no agent answers yet; one takes over within seconds, else: sudo nomad job status pipecat-app"
        )
        return f"What is said now is not saved: {why}."
    if house.may_lose_one:
        return "What is said is saved. The house goes on when any one of these PCs dies."
    return "What is said is saved. Another PC must not be lost now: start the one that is away."


def of_pc(there: bool, pc: Pc | None, house: House | None, *, leads: bool = False) -> str:
    """What a PC is for, as part of a sentence."""
    if not there:
        return "is away"
    parts = [*(_agent_and_memory(pc, house) if pc is not None and house is not None else ())]
    if leads:
        parts.append("decides what runs where")
    return "; ".join(filter(None, parts)) or "is there"


def _agent_and_memory(pc: Pc, house: House) -> tuple[str, str]:
    agent = {
        "active": "answers",
        "standby": f"stands by, and goes on when {house.active} is gone" if house.active else "stands by",
        "cut_off": "is cut off from the others: it talks, and cannot save",
        "alone": "answers for itself alone; its settings are older than the house's: run the playbook",
        "none": "",
    }[pc.role]
    keeper = {True: "keeps the memory", False: "its part of the memory cannot be reached", None: ""}[pc.keeps]
    return agent, keeper


def of_service(service: Service) -> str:
    """How a service is."""
    if not service.ill_on:
        return "well" if service.well == 1 else f"well, {service.well} of it"
    where = " and ".join(service.ill_on)
    return f"{service.well} well, not well on {where}" if service.well else f"not well on {where}"


def of_job(job: Job) -> str:
    """How a job is."""
    if job.running == 1 and not (job.starting or job.waiting):
        return "runs"
    if job.running and not (job.starting or job.waiting):
        return f"runs on {job.running} places"
    counts = ((job.running, "run"), (job.starting, "start"), (job.waiting, "wait"))
    words = [f"{count} {verb}{'s' if count == 1 else ''}" for count, verb in counts if count]
    return ", ".join(words) + (" for a PC with room" if job.waiting else "") or "does not run now"


def healing(members: Sequence[tuple[Member, Pc | None]], roster: Roster | None) -> list[str]:
    """What is not as it should be, and who does something about it."""
    found = []
    for member, pc in members:
        if not (member.there or (pc is not None and pc.there)):
            found.append(f"{member.name} is away. What ran there starts elsewhere; switch it on when you can.")
        elif pc is not None and pc.keeps is False:
            found.append(f"{member.name} keeps no memory now. It catches up by itself when that goes on.")
    if roster is None:
        return found
    # Without Consul's answer nobody knows whether there is one.
    if not roster.leader and roster.members and not any(text.startswith("Consul") for text in roster.unknown):
        found.append("The PCs agree on which one decides what runs where. That takes seconds.")
    for job in roster.jobs:
        if job.starting or job.waiting:
            found.append(f"{title(job.name)}: {of_job(job)}.")
    away = {member.name for member, _ in members if not member.there}
    for service in roster.services:
        if where := [pc for pc in service.ill_on if pc not in away]:
            found.append(
                f"{title(service.name)} does not answer on {' and '.join(where)}. If that stays so: "
                "docs/operations/troubleshooting.md."
            )
    return found
