"""The traffic monitor in the kernel, from both loaders: on frames made by hand, and on real connections."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from pipecatapp.expert_host.liveness import Pulse, client
from power_agent.bpf import Map, run_on_packet
from power_agent.errors import MonitorError
from power_agent.loading import PYTHON_WITH_BCC, Loaded, by_bcc, by_libbpf
from power_agent.traffic import KernelTraffic, usage, watch
from testing.fakes.frames import ACK, FIN, PSH, SYN, tcp, v4, v6, vlan

pytestmark = pytest.mark.integration

PORT, RAW_PORT = 9001, 9003
MARK = 0x50574D41
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
# Debian's Python with python3-bpfcc; another one by the environment.
WITH_BCC = Path(os.environ.get("PYTHON_WITH_BCC", PYTHON_WITH_BCC))
LOADERS: dict[str, Callable[[], Loaded]] = {"libbpf": by_libbpf, "bcc": lambda: by_bcc(python=WITH_BCC)}


def _has_bcc() -> bool:
    asked = subprocess.run([WITH_BCC, "-c", "import bcc"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.fixture(scope="module", params=LOADERS)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    if request.param == "bcc" and not _has_bcc():
        pytest.skip("no BCC here (python3-bpfcc)")
    try:
        return LOADERS[request.param]()
    except MonitorError as error:
        if os.geteuid() != 0 or "Operation not permitted" in str(error):
            pytest.skip(f"no eBPF here: {error}")
        raise


@dataclass
class Counted:
    """The map, asked for what one frame added to it."""

    program: int
    ports: Map

    def by(self, frame: bytes, *, mark: int = 0, port: int = PORT) -> dict[str, float]:
        before = asdict(usage(self.ports, port) or pytest.fail("not watched"))
        assert run_on_packet(self.program, frame, mark)[0] == 0
        after = asdict(usage(self.ports, port) or pytest.fail("not watched"))
        last = after.pop("last_work") > before.pop("last_work")
        added = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        assert last == bool(added.get("work_packets") or added.get("answers"))
        return added


@pytest.fixture
def counted(loaded: Loaded) -> Counted:
    ports = Map(loaded.ports, 2, 72)
    watch(ports, PORT, http=True)
    watch(ports, RAW_PORT, http=False)
    return Counted(loaded.program, ports)


WORK = {"packets": 1, "work_packets": 1, "work_bytes": len(POST)}


@pytest.mark.parametrize(
    "frame",
    [
        v4(tcp(PORT, PSH | ACK, POST)),
        v4(tcp(PORT, PSH | ACK, POST), options=b"\1" * 8),
        v4(tcp(PORT, PSH | ACK, POST, options=b"\1" * 12)),
        v4(tcp(PORT, PSH | ACK, POST), fragment=0x2000),
        v6(tcp(PORT, PSH | ACK, POST)),
        v6(tcp(PORT, PSH | ACK, POST), following=0, extensions=b"\6\0" + bytes(6)),
        v6(tcp(PORT, PSH | ACK, POST), following=0, extensions=b"\x3c\0" + bytes(6) + b"\6\1" + bytes(14)),
        v6(tcp(PORT, PSH | ACK, POST), following=44, extensions=b"\6\0\0\1" + bytes(4)),
    ],
    ids=["v4", "ip options", "tcp options", "first fragment", "v6", "hop by hop", "two headers", "v6 first fragment"],
)
def test_payload_is_work(counted: Counted, frame: bytes) -> None:
    assert counted.by(frame) == WORK


def test_one_byte_is_work(counted: Counted) -> None:
    assert counted.by(v4(tcp(PORT, PSH | ACK, b"x"))) == {"packets": 1, "work_packets": 1, "work_bytes": 1}


@pytest.mark.parametrize(
    ("frame", "added"),
    [
        (v4(tcp(PORT, SYN, options=b"\2\4\5\xb4")), {"packets": 1, "syns": 1}),
        (v6(tcp(PORT, SYN)), {"packets": 1, "syns": 1}),
        (v4(tcp(PORT, SYN | ACK)), {"packets": 1}),
        (v4(tcp(PORT, ACK, source=41000)), {"packets": 1}),
        (v4(tcp(PORT, FIN | ACK)), {"packets": 1}),
        # Ethernet pads to 60 bytes; by the length of the frame this would be payload.
        (v4(tcp(PORT, ACK, source=41001)) + bytes(6), {"packets": 1}),
        (v4(tcp(9002, PSH | ACK, POST)), {}),
        (v4(tcp(PORT, PSH | ACK, POST), protocol=17), {}),
        (v4(tcp(PORT, PSH | ACK, POST), fragment=0x2001), {}),
        (v6(tcp(PORT, PSH | ACK, POST), following=44, extensions=b"\6\0\0\x09" + bytes(4)), {}),
        (v4(tcp(PORT, PSH | ACK, POST))[:40], {}),
        # A tag that is still on belongs to another interface, where the packet comes again without it.
        (vlan(v4(tcp(PORT, PSH | ACK, POST))), {}),
    ],
    ids=[
        "syn", "v6 syn", "syn and ack", "bare ack", "fin", "padding", "other port", "udp", "later fragment",
        "v6 later fragment", "truncated", "vlan",
    ],
)  # fmt: skip
def test_no_payload_is_no_work(counted: Counted, frame: bytes, added: dict[str, int]) -> None:
    assert counted.by(frame) == added


@pytest.mark.parametrize("words", [b"GET /health HTTP/1.1\r\n", b"GET /v1/models", b"HEAD / HTTP/1.1", b"OPTIONS * H"])
def test_what_only_reads_is_no_work_on_a_port_that_speaks_http(counted: Counted, words: bytes) -> None:
    assert counted.by(v4(tcp(PORT, PSH | ACK, words))) == {"packets": 1, "reads": 1}
    assert counted.by(v6(tcp(PORT, PSH | ACK, words))) == {"packets": 1, "reads": 1}
    assert counted.by(v4(tcp(RAW_PORT, PSH | ACK, words)), port=RAW_PORT)["work_packets"] == 1


def test_a_marked_packet_is_a_health_check(counted: Counted) -> None:
    assert counted.by(v4(tcp(PORT, PSH | ACK, POST)), mark=MARK) == {"packets": 1, "checks": 1}


def test_a_packet_of_a_supervisors_pulse_is_a_health_check(counted: Counted) -> None:
    segment = tcp(PORT, PSH | ACK, POST)

    assert counted.by(v4(segment, source=bytes((127, 0, 0, 73)))) == {"packets": 1, "checks": 1}
    assert counted.by(v4(segment, source=bytes((127, 0, 0, 72)))) == WORK
    assert counted.by(v4(segment, source=bytes((73, 0, 0, 127)))) == WORK


def test_the_answer_is_work_as_long_as_it_is_taken(counted: Counted) -> None:
    counted.by(v4(tcp(PORT, PSH | ACK, POST, source=42000, ack=1)))

    assert counted.by(v4(tcp(PORT, ACK, source=42000, ack=500))) == {"packets": 1, "answers": 1}
    assert counted.by(v4(tcp(PORT, ACK, source=42000, ack=900))) == {"packets": 1, "answers": 1}
    # A keep-alive acknowledges nothing new.
    assert counted.by(v4(tcp(PORT, ACK, source=42000, ack=900))) == {"packets": 1}


def test_the_answer_to_a_health_check_is_no_work(counted: Counted) -> None:
    counted.by(v4(tcp(PORT, PSH | ACK, b"GET /health HTTP/1.1\r\n\r\n", source=42001, ack=1)))

    assert counted.by(v4(tcp(PORT, ACK, source=42001, ack=120))) == {"packets": 1}


def test_every_port_can_be_watched(loaded: Loaded) -> None:
    ports = Map(loaded.ports, 2, 72)
    for port in range(65536):
        watch(ports, port, http=False)

    run_on_packet(loaded.program, v4(tcp(65535, PSH | ACK, b"x")))

    assert [port for port in range(65536) if (usage(ports, port) or pytest.fail("lost")).packets] == [65535]
    for port in range(65536):
        ports.drop(port.to_bytes(2, "little"))


def test_a_packet_takes_less_than_a_microsecond_or_two(loaded: Loaded, counted: Counted) -> None:
    _, nanoseconds = run_on_packet(loaded.program, v4(tcp(PORT, PSH | ACK, POST)), repeat=20_000)

    assert nanoseconds < 10_000  # 150 on a quiet machine


# Real connections -----------------------------------------------------------------------------------------------------


@pytest.fixture
def traffic(loaded: Loaded) -> Iterator[KernelTraffic]:
    measured = KernelTraffic(loaded)
    yield measured
    measured.close()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (None, "")])
def test_a_real_connection_is_seen(traffic: KernelTraffic, family: socket.AddressFamily | None, address: str) -> None:
    """The last case: IPv4 to a server that listens on IPv6."""
    with socket.create_server((address, 0), family=family or socket.AF_INET6, dualstack_ipv6=family is None) as server:
        port = server.getsockname()[1]
        traffic.watch(port, http=True)
        with socket.create_connection((address or "127.0.0.1", port)) as client, server.accept()[0] as served:
            client.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            served.recv(100)
            served.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            client.recv(100)
            quiet = traffic.usage(port)
            began = time.clock_gettime(time.CLOCK_MONOTONIC)
            client.sendall(POST)
            served.recv(100)
            worked = traffic.usage(port)
    traffic.forget(port)

    assert quiet is not None
    assert (quiet.syns, quiet.reads, quiet.work_packets, quiet.last_work) == (1, 1, 0, 0.0)
    assert worked is not None
    assert (worked.work_packets, worked.work_bytes) == (1, len(POST))
    assert worked.last_work >= began
    assert traffic.usage(port) is None


async def test_the_pulse_of_an_expert_is_no_work(traffic: KernelTraffic) -> None:
    """Its client, over a real connection to an address of this machine that is not loopback's first one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n", b'{"tokens_predicted": 1}'):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.5", 0) as server:
        port = server.sockets[0].getsockname()[1]
        traffic.watch(port, http=True)
        async with Pulse(client("127.0.0.5", port, "key"), None, time.monotonic) as pulse:
            await pulse.first_token(lambda: False, 10, 10)
        felt = traffic.usage(port)
    traffic.forget(port)

    assert felt is not None
    assert (felt.work_packets, felt.answers, felt.last_work) == (0, 0, 0.0)
    assert felt.checks == felt.packets > 0
