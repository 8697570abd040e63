"""Puts the parts together: one state machine and one activator for each service, one measurement for all."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from power_agent.activator import Activator
from power_agent.api import Api
from power_agent.configuration import Configuration, Watched
from power_agent.control import Control
from power_agent.driving import Driver, Gate
from power_agent.energy import Energy
from power_agent.errors import ConfigurationError, DriverError, PowerError
from power_agent.gate import Entry, Gates, Nft, Redirect, nft, table
from power_agent.job import JobDriver, Lock, lock_of
from power_agent.policy import PolicyFile, PolicyInConsul
from power_agent.records import Records
from power_agent.server import LlamaServer, RawServer
from power_agent.service import Service
from power_agent.states import Parts
from power_agent.traffic import KernelTraffic, NoTraffic
from power_agent.unit import UnitDriver, energy_through, through

logger = logging.getLogger(__name__)

_FIRST_LOOK_S = 15.0
_POLICY_EVERY_S = 2.0
_KEPT_EVERY_S = 300.0


class Agent:
    """All of it.

    Args:
        configuration: what is watched.
        traffic: the measurement.
        apply: nft.
    """

    def __init__(self, configuration: Configuration, traffic: KernelTraffic | NoTraffic, apply: Nft = nft) -> None:
        self._configuration, self._traffic, self._apply = configuration, traffic, apply
        self._policy = _policy_of(configuration)
        self._records = Records(configuration.folder)
        self._energy = Energy(energy_through(configuration.switch))
        self.services: list[Service] = []
        self._broken = dict(configuration.broken)
        self._tokens: dict[str, str] = {}
        for watched in configuration.services:
            try:
                self.services.append(self._service(watched))
            except (PowerError, OSError) as error:
                self._broken[watched.name] = str(error)

    def broken(self) -> Mapping[str, str]:
        """What is not watched, or not as it was meant, and why."""
        policy = {name or "policy": f"policy: {why}" for name, why in self._policy().broken.items()}
        return self._broken | policy

    async def run(self, handed: Mapping[int, socket.socket]) -> None:
        """Until it is cancelled.

        Args:
            handed: sockets that systemd listens on for the activators, by port: what comes while the agent starts anew
                waits in them.
        """
        for name, why in self._broken.items():
            logger.error("%s is not watched: %s", name, why)
        redirected = any(service.watched.redirect for service in self.services)
        if redirected:
            try:
                await self._apply(table(self._configuration.consul_user))
            except DriverError as error:
                logger.error("%s; requests to the ports of sleeping services are not led here", error)
        async with AsyncExitStack() as stack:
            await self._policy.read()
            for service in self.services:
                await self._first_look(service)
            for service in self.services:
                activator = Activator(service, self._tokens[service.watched.name])
                for server in await activator.listen(_sockets(service.watched, handed)):
                    stack.callback(server.close)
            why = self._traffic.why if isinstance(self._traffic, NoTraffic) else ""
            measured_by = f"the servers' own counters ({why})" if why else f"the kernel ({self._traffic.loader})"
            control = Control(self.services, self.broken, self._records, measured_by)
            stack.callback((await control.serve(self._configuration.control)).close)
            logger.info("%d services may sleep; idleness is measured by %s", len(self.services), measured_by)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_policy(), name="policy")
                tasks.create_task(self._energy.run(), name="energy")
                tasks.create_task(self._keep_records(), name="records")
                for service in self.services:
                    tasks.create_task(service.run(), name=service.watched.name)

    async def _follow_policy(self) -> None:
        while True:
            await asyncio.sleep(_POLICY_EVERY_S)
            before = self._policy()
            if not await self._policy.read():
                continue
            for service in self.services:
                name = service.watched.name
                was, now = before.idle_of(service.watched), self._policy().idle_of(service.watched)
                if was != now:
                    said = "never" if now is None else f"after {now:.0f} s"
                    logger.info("%s may now sleep: %s", name, said)
                    self._records.note(time.time(), name, "policy", f"may sleep: {said}")
                service.kick.set()

    async def _keep_records(self) -> None:
        """What was counted since the last change of a state."""
        while True:
            await asyncio.sleep(_KEPT_EVERY_S)
            try:
                self._records.save()
            except OSError as error:
                logger.warning("what services took is not kept: %s", error)

    async def _first_look(self, service: Service) -> None:
        try:
            async with asyncio.timeout(_FIRST_LOOK_S):
                await service.step()
        except (PowerError, OSError, TimeoutError) as error:
            logger.warning("%s: %s", service.watched.name, error)

    def _service(self, watched: Watched) -> Service:
        driver, entry = self._driver(watched)
        gates: list[Gate] = [entry] if entry else []
        if watched.redirect:
            gates.append(Redirect(watched.host, watched.port, watched.activator_port, self._apply))
        token = watched.token_file.read_text(encoding="ascii").strip() if watched.token_file else ""
        self._tokens[watched.name] = token
        server = LlamaServer(driver.address, token) if watched.http else RawServer(driver.address)
        parts = Parts(driver, Gates(gates), server, self._traffic, self._records, self._policy, self._energy)
        return Service(watched, parts)

    def _driver(self, watched: Watched) -> tuple[Driver, Gate | None]:
        if watched.unit:
            switch = through(self._configuration.switch)
            return UnitDriver(watched.unit, watched.host, watched.port, switch), None
        nomad, consul = self._configuration.nomad, self._configuration.consul
        if nomad is None or consul is None:
            raise ConfigurationError("a job needs `nomad` and `consul` in the configuration")
        consul_api = Api("Consul", consul, "X-Consul-Token")
        lock = Lock(consul_api, lock_of(watched.job, watched.namespace))
        nomad_api = Api("Nomad", nomad, "X-Nomad-Token")
        driver = JobDriver(watched.job, watched.group, nomad_api, lock, namespace=watched.namespace, node=nomad.node)
        record = self._records.of(watched.name)
        entry = Entry(consul_api, watched.name, watched.host, watched.activator_port, lambda: record.estimate_s)
        return driver, entry


def _policy_of(configuration: Configuration) -> PolicyFile | PolicyInConsul:
    if configuration.policy_key and configuration.consul is not None:
        consul = Api("Consul", configuration.consul, "X-Consul-Token")
        return PolicyInConsul(consul, configuration.policy_key)
    return PolicyFile(configuration.policy)


def handed_over() -> dict[int, socket.socket]:
    """The sockets that systemd hands over, by port."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    found = {}
    for descriptor in range(3, 3 + int(os.environ.get("LISTEN_FDS", "0"))):
        os.set_inheritable(descriptor, False)
        opened = socket.socket(fileno=descriptor)
        opened.setblocking(False)
        found[int(opened.getsockname()[1])] = opened
    return found


def _sockets(watched: Watched, handed: Mapping[int, socket.socket]) -> Sequence[socket.socket]:
    if watched.activator_port in handed:
        return [handed[watched.activator_port]]
    family = socket.AF_INET6 if ":" in watched.host else socket.AF_INET
    return [socket.create_server((watched.host, watched.activator_port), family=family)]
