"""What the agent watches (its configuration, by the role) and how patient it is (the policy, by the household)."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from power_agent.errors import ConfigurationError

MIN_AWAKE_S = 130.0
WAKE_WITHIN_S = 300.0
_VERSION = 1
_WEEK_S = 7 * 24 * 3600
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Watched:
    """One service that may sleep.

    Attributes:
        host, port: where it listens.
        activator_port: where the agent answers for it while it sleeps; on the same address.
        http: it speaks HTTP; else the first payload wakes it.
        unit: its systemd unit; empty: it is a job of Nomad.
        job, group, namespace: its job; empty: it is a systemd unit.
        idle_s: after so many seconds without work it may sleep, unless the policy says otherwise; None: it may not.
        min_awake_s: so long it stays awake at least.
        wake_within_s: a wake that takes longer has failed.
        sources: networks that it may be asked from; loopback always.
        token_file: holds the token of its API; None: it wants none.
        redirect: requests to its own port are led to the activator while it sleeps.
    """

    name: str
    host: str
    port: int
    activator_port: int
    http: bool = True
    unit: str = ""
    job: str = ""
    group: str = ""
    namespace: str = "default"
    idle_s: float | None = None
    min_awake_s: float = MIN_AWAKE_S
    wake_within_s: float = WAKE_WITHIN_S
    sources: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    token_file: Path | None = None
    redirect: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Nomad or Consul is asked, and with what.

    Attributes:
        node: Nomad's ID of this machine; empty: its agent is asked, which takes a right of its own.
    """

    host: str
    port: int
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The agent's configuration.

    Attributes:
        policy: the household's, in a file.
        policy_key: the same in Consul's store, where there are several PCs; empty: the file counts.
        broken: by name of the entry why it cannot be used; the others are.
    """

    folder: Path
    control: Path
    policy: Path | None
    switch: Path
    services: tuple[Watched, ...]
    broken: Mapping[str, str] = field(default_factory=dict)
    nomad: Endpoint | None = None
    consul: Endpoint | None = None
    consul_user: str = ""
    policy_key: str = ""


def read_configuration(text: str) -> Configuration:
    """Read the configuration.

    Raises:
        ConfigurationError: there is nothing in it that could be used.
    """
    try:
        given = json.loads(text)
        services, broken = _services(given["services"])
        return Configuration(
            folder=Path(given["folder"]),
            control=Path(given["control"]),
            policy=Path(given["policy"]) if given.get("policy") else None,
            switch=Path(given.get("switch", "/run/pipecatapp-power-switch.sock")),
            services=services,
            broken=broken,
            nomad=_endpoint(given.get("nomad")),
            consul=_endpoint(given.get("consul")),
            consul_user=str(given.get("consul_user", "")),
            policy_key=str(given.get("policy_key") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{type(error).__name__}: {error}") from error


def _services(entries: list[Any]) -> tuple[tuple[Watched, ...], dict[str, str]]:
    good: dict[str, Watched] = {}
    broken: dict[str, str] = {}
    ports: dict[int, str] = {}
    for number, entry in enumerate(entries, 1):
        name = str(entry.get("name")) if isinstance(entry, dict) else f"entry {number}"
        try:
            service = _watched(entry)
            if service.name in good:
                raise ConfigurationError("the name is taken")
            for port in (service.port, service.activator_port):
                if port in ports:
                    raise ConfigurationError(f"port {port} is {ports[port]}'s")
        except (ConfigurationError, ValueError, TypeError, KeyError, AttributeError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            broken[name] = missing
            continue
        good[service.name] = service
        ports |= {service.port: service.name, service.activator_port: service.name}
    return tuple(good.values()), broken


def _watched(entry: Mapping[str, Any]) -> Watched:
    known = set(Watched.__dataclass_fields__)
    if strange := sorted(set(entry) - known):
        raise ConfigurationError(f"{strange[0]!r} is no field; there are {', '.join(sorted(known))}")
    name = str(entry["name"])
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError("the name has other than lower-case letters, digits, dots and dashes")
    if bool(entry.get("unit")) == bool(entry.get("job")):
        raise ConfigurationError("it needs either a `unit` or a `job`")
    idle = entry.get("idle_s")
    return Watched(
        name=name,
        host=str(ipaddress.ip_address(entry["host"])),
        port=_port(entry["port"]),
        activator_port=_port(entry["activator_port"]),
        http=bool(entry.get("http", True)),
        unit=str(entry.get("unit", "")),
        job=str(entry.get("job", "")),
        group=str(entry.get("group") or entry.get("job", "")),
        namespace=str(entry.get("namespace") or "default"),
        idle_s=None if idle is None else _seconds(idle),
        min_awake_s=_seconds(entry.get("min_awake_s", MIN_AWAKE_S)),
        wake_within_s=_seconds(entry.get("wake_within_s", WAKE_WITHIN_S)),
        sources=tuple(ipaddress.ip_network(each) for each in entry.get("sources", ())),
        token_file=Path(entry["token_file"]) if entry.get("token_file") else None,
        redirect=bool(entry.get("redirect", True)),
    )


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ConfigurationError(f"{value!r} is no port")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _WEEK_S:
        raise ConfigurationError(f"{value!r} are no seconds up to a week")
    return float(value)


def _endpoint(given: Mapping[str, Any] | None) -> Endpoint | None:
    if not given:
        return None
    files = {
        name: Path(given[name]) for name in ("token_file", "ca_file", "certificate_file", "key_file") if given.get(name)
    }
    return Endpoint(str(given["host"]), _port(given["port"]), **files, node=str(given.get("node") or ""))


# The policy -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policy:
    """What the household wants.

    Attributes:
        idle_s: by service; None: never.
        broken: by service why its entry does not count; "": the whole file.
    """

    idle_s: Mapping[str, float | None] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def idle_of(self, service: Watched) -> float | None:
        """After how many seconds it may sleep; None: never. A broken entry, or policy, lets it stay awake."""
        if service.name in self.broken or "" in self.broken:
            return None
        return self.idle_s.get(service.name, service.idle_s)


def read_policy(text: str) -> Policy:
    """Read the policy; what is wrong in it harms the entry that it is in.

    {"version": 1, "services": {"prima-api-coding": {"idle_seconds": 600}, "prima-api-main": {"never": true}}}
    """
    try:
        given = json.loads(text)
        if given.get("version") != _VERSION:
            return Policy(broken={"": f"version {given.get('version')!r}, and not {_VERSION}"})
        entries = given.get("services", {}).items()
    except (ValueError, AttributeError) as error:
        return Policy(broken={"": str(error)})
    idle: dict[str, float | None] = {}
    broken: dict[str, str] = {}
    for name, entry in entries:
        try:
            if not isinstance(entry, dict):
                raise ConfigurationError("no object")
            if not isinstance(entry.get("never", False), bool):
                raise ConfigurationError("`never` is true or false")
            if entry.get("never"):
                idle[name] = None
            elif entry.get("idle_seconds") is not None:
                idle[name] = _seconds(entry["idle_seconds"])
        except ConfigurationError as error:
            broken[name] = str(error)
    return Policy(idle, broken)
