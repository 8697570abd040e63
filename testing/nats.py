"""A real NATS for tests: the package that role `nats` pins, unpacked into ``.cache/nats``, and servers of it.

The servers run with the role's own configuration, but for addresses, folders and certificates.

python -m testing.nats        # fetch it
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jinja2
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipecatapp.errors import EngineError
from pipecatapp.llm.debian import unpack
from pipecatapp.llm.engines import DebianPackage, DebianPin
from testing.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/nats"
PASSWORD = "app-password-of-tests"


@cache
def pin() -> DebianPin:
    """The package of ``group_vars/all.yaml``."""
    told = yaml.safe_load((ROOT / "group_vars/all.yaml").read_text())["nats_pin"]
    package = DebianPackage("nats-server", pool=told["pool"], sha256=told["sha256"], sha1=told["sha1"])
    return DebianPin(version=told["version"], architecture="amd64", packages=(package,), snapshot=told["snapshot"])


def program() -> Path:
    """The nats-server that ``scripts/setup nats`` fetched.

    Raises:
        EngineError: it did not.
    """
    found = CACHE / f"debian-{pin().version}/usr/sbin/nats-server"
    if not found.exists():
        raise EngineError(f"no nats-server in {CACHE}; run: scripts/setup nats")
    return found


def fetch() -> Path:
    """Fetch it, through this machine's own apt."""
    unpack(CACHE, pin(), lambda doing, progress: None, lambda tree: _version(tree / "usr/sbin/nats-server"))
    return program()


def _version(server: Path) -> None:
    try:
        subprocess.run([server, "--version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{server} does not run here: {error}") from error


class NatsServer:
    """One server, in a process of its own.

    Args:
        house: where it belongs to.
        name: its own.
        host: a loopback address of its own.
    """

    def __init__(self, house: NatsHouse, name: str, host: str) -> None:
        self.name, self.host = name, host
        self.folder = house.folder / name
        self.store = self.folder / "data"
        self.monitor_port = free_port(host)
        self.paused = False
        self._house = house
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """What a client calls it by."""
        return f"tls://{self.host}:{self._house.port}"

    @property
    def running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    async def start(self) -> None:
        """Start it, or start it again with the data that it has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nats.conf").write_text(self._house.configuration(self))
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(program()), "--config", str(self.folder / "nats.conf"),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "GOMAXPROCS": "1"},
            )  # fmt: skip

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; killed, it leaves its data as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            self.paused = False
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(how)
            await process.wait()

    def pause(self) -> None:
        """Freeze it: its connections stay, and nothing is answered, as if its cable were cut."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self.paused = False

    async def ready(self, within_s: float = 60) -> None:
        """Wait until it takes part.

        Raises:
            TimeoutError: not in time; its log says why.
        """
        try:
            async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False, timeout=2) as http:
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await http.get(f"http://{self.host}:{self.monitor_port}/healthz")).status_code == 200:
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log = (self.folder / "log").read_text(errors="replace")[-2000:]
            raise TimeoutError(f"{self.name} is not ready: {log}") from None


class NatsHouse:
    """Servers that are one cluster, and what a client needs of them.

    Args:
        folder: their data, logs and certificates.
        count: how many.
        change: what a test wants otherwise in their configuration.
    """

    def __init__(self, folder: Path, count: int, change: Callable[[str], str] = lambda text: text) -> None:
        self.folder = folder
        self._change = change
        hosts = [f"127.0.5.{number}" for number in range(1, count + 1)]
        self.port, self._route_port = free_port(hosts[0]), free_port(hosts[0])
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "nats.pem", "nats.key"))
        _make_certificates(self, hosts)
        self._apart: set[str] = set()
        self.servers = [NatsServer(self, f"n{number}", host) for number, host in enumerate(hosts, 1)]

    def __iter__(self) -> Iterator[NatsServer]:
        return iter(self.servers)

    @property
    def urls(self) -> list[str]:
        """What a client calls them by."""
        return [server.url for server in self.servers]

    async def start(self) -> None:
        """Start all and wait until all take part."""
        for server in self.servers:
            await server.start()
        for server in self.servers:
            await server.ready()
        if len(self.servers) > 1:
            await self._led()

    async def _led(self) -> None:
        """Wait for a leader that hears all: until then streams have no place."""
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False, timeout=2) as http:
            while True:
                for server in self.servers:
                    about = (await http.get(f"http://{server.host}:{server.monitor_port}/jsz")).json()
                    heard = [peer for peer in about["meta_cluster"].get("replicas") or [] if peer.get("current")]
                    if len(heard) == len(self.servers) - 1:
                        return
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Kill all."""
        for server in self.servers:
            await server.stop()

    async def split(self, half: Sequence[NatsServer]) -> None:
        """Have these speak with each other and with none of the rest, which go on as they are."""
        self._apart |= {server.name for server in half}
        await self._again(half)

    async def join(self, half: Sequence[NatsServer]) -> None:
        """Have these speak with all again."""
        self._apart -= {server.name for server in half}
        await self._again(half)

    async def _again(self, half: Sequence[NatsServer]) -> None:
        for server in half:
            await server.stop()
        for server in half:
            await server.start()

    def configuration(self, server: NatsServer) -> str:
        """The role's, for one of them."""
        environment = jinja2.Environment(keep_trailing_newline=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
        environment.filters["comment"] = lambda text: f"# {text}"
        template = environment.from_string((ROOT / "ansible/roles/nats/templates/nats.conf.j2").read_text())
        secrets = {f"{name}_password": f"{name}-password-of-tests" for name in ("system", "app", "route")}
        values: dict[str, Any] = {
            **yaml.safe_load((ROOT / "ansible/roles/nats/defaults/main.yaml").read_text()),
            "ansible_managed": "of a test",
            "inventory_hostname": server.name,
            "cluster_datacenter": "dc1",
            "cluster_secrets": {"nats": secrets},
            "nats_data": str(server.store),
            "nats_port": self.port,
            "nats_route_port": self._route_port,
            "nats_servers": [each.name for each in self.servers],
            "nats_members": {each.name: each.host for each in self.servers},
        }
        if server.name in self._apart:
            secrets["route_password"] = "another-password"
        text = template.render(values)
        text = text.replace("0.0.0.0:", f"{server.host}:").replace("/etc/nats/tls/", f"{self.folder}/")
        return self._change(
            text.replace(f"127.0.0.1:{values['nats_monitor_port']}", f"{server.host}:{server.monitor_port}")
        )


@asynccontextmanager
async def nats_house(
    folder: Path, count: int = 3, change: Callable[[str], str] = lambda text: text
) -> AsyncIterator[NatsHouse]:
    """So many servers on loopback, one cluster; killed at the end."""
    house = NatsHouse(folder, count, change)
    try:
        await house.start()
        yield house
    finally:
        await house.stop()


def _make_certificates(house: NatsHouse, hosts: list[str]) -> None:
    """An authority, and one certificate for all servers and clients."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of tests")])
    member = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "member")])

    def begin(name: x509.Name, its_key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(its_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    basic = x509.BasicConstraints(ca=True, path_length=0)
    signed = begin(authority, authority_key).add_extension(basic, critical=True).sign(authority_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host)) for host in hosts])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issued = (
        begin(member, key)
        .add_extension(names, critical=False)
        .add_extension(usage, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    house.ca.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    house.certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    house.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


if __name__ == "__main__":
    print(fetch())
