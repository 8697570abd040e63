"""Getting the traffic monitor into the kernel: the prebuilt object by libbpf, or compiled on the node by BCC."""

from __future__ import annotations

import array
import ctypes
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from power_agent.errors import MonitorError

HERE = Path(__file__).resolve().parent
OBJECT = HERE / "traffic_monitor.o"
SOURCE = HERE / "traffic_monitor.c"
# Debian's Python: BCC (python3-bpfcc) is no package of the index.
PYTHON_WITH_BCC = Path("/usr/bin/python3")
_COMPILES_WITHIN_S = 120
_SILENT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: 0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The program in the kernel: descriptors that stay open as long as this process lives."""

    program: int
    ports: int
    loader: str


def load(object_file: Path = OBJECT, source: Path = SOURCE, python: Path = PYTHON_WITH_BCC) -> Loaded:
    """Load it, whichever way works.

    Raises:
        MonitorError: neither works; says why for both.
    """
    try:
        return by_libbpf(object_file)
    except MonitorError as error:
        try:
            return by_bcc(source, python)
        except MonitorError as other:
            raise MonitorError(f"{error}; {other}") from other


def by_libbpf(object_file: Path = OBJECT) -> Loaded:
    """Load the prebuilt object. libbpf is on every Debian, for iproute2 needs it.

    Raises:
        MonitorError: no libbpf, no right, or the kernel refuses the object.
    """
    try:
        lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise MonitorError(f"libbpf: {error}; install libbpf1") from error
    lib.bpf_object__open_file.restype = ctypes.c_void_p
    lib.bpf_object__find_program_by_name.restype = ctypes.c_void_p
    lib.libbpf_set_print(_SILENT)
    # The object stays open: with it the kernel would drop program and maps.
    opened = lib.bpf_object__open_file(os.fsencode(object_file), None)
    if not opened:
        raise MonitorError(f"libbpf: {object_file} cannot be read ({os.strerror(ctypes.get_errno())})")
    handle = ctypes.c_void_p(opened)
    refused = lib.bpf_object__load(handle)
    if refused:
        lib.bpf_object__close(handle)
        raise MonitorError(f"libbpf: the kernel refuses {object_file.name} ({os.strerror(-refused)})")
    program = lib.bpf_program__fd(ctypes.c_void_p(lib.bpf_object__find_program_by_name(handle, b"measure")))
    ports = lib.bpf_object__find_map_fd_by_name(handle, b"ports")
    if program < 0 or ports < 0:
        raise MonitorError(f"libbpf: {object_file} lacks the program `measure` or the map `ports`")
    return Loaded(program, ports, "libbpf")


def by_bcc(source: Path = SOURCE, python: Path = PYTHON_WITH_BCC) -> Loaded:
    """Have it compiled in a child that hands over the descriptors and ends: the compiler takes 130 MB.

    Raises:
        MonitorError: no BCC, or it does not compile.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        with theirs:
            command = [str(python), str(HERE / "bcc_child.py"), str(source), str(theirs.fileno())]
            try:
                child = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
            except OSError as error:
                raise MonitorError(f"BCC: {python} does not start ({error.strerror})") from error
        try:
            _, said = child.communicate(timeout=_COMPILES_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            child.kill()
            child.communicate()
            raise MonitorError(f"BCC: not compiled within {_COMPILES_WITHIN_S} s") from error
        if child.returncode != 0:
            last = (said.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
            raise MonitorError(f"BCC: {last}")
        program, ports = _received(ours, 2)
    return Loaded(program, ports, "bcc")


def _received(connection: socket.socket, count: int) -> list[int]:
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(count * descriptors.itemsize)
    _, ancillary, _, _ = connection.recvmsg(1, room)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if len(descriptors) != count:
        raise MonitorError("BCC: the child handed over no descriptors")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return list(descriptors)
