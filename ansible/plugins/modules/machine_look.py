"""Ansible module: looks at a machine before anything is changed on it, and changes nothing itself."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DOCUMENTATION = """
module: machine_look
short_description: Looks at a machine before anything is changed on it
description:
  - The clock, the processor, the disk, the ports, name resolution, who the machine is, and whether it reaches others.
options:
  asked_at:
    description: The control node's clock, in seconds since 1970.
    type: float
    default: 0
  programs:
    description: Where the program will be; its disk is measured. An earlier installation is there already.
    type: path
    required: true
  own_ports:
    description: Ports that must be free where nothing is installed yet.
    type: list
    elements: int
    default: []
  cluster_ports:
    description: Ports at which nobody may listen but services of ours.
    type: list
    elements: int
    default: []
  data:
    description: A folder that will hold what must be written safely; where it is not there yet, its disk is timed.
    type: path
    default: ""
  names:
    description: Whether the hosts of the package sources must have addresses, where nothing is installed yet.
    type: bool
    default: false
  peers:
    description: Other machines by name, each with C(address) and C(port). With them nothing else is looked at.
    type: dict
    default: {}
"""

RETURN = """
seen: {description: What there is to know of the machine., type: dict}
unreached: {description: Why a peer cannot be reached, by its name., type: dict}
"""

_SOURCES = re.compile(r"^(?:URIs:|deb(?:-src)?(?:\s+\[[^\]]*\])?)\s+(https?://\S+)", re.M)
# Enough for a steady median; a disk that is slower than this needs no more of them.
_WRITES, _WRITING_S = 40, 2.0
REACH_S = 4.0


def look(parameters: dict[str, Any], *, dry: bool = False) -> dict[str, Any]:
    """What there is to know of this machine."""
    now = time.time()
    programs = Path(parameters["programs"])
    first = not (programs / "bin/services").exists()
    asked = first or parameters["cluster_ports"]
    listening = list(listeners(Path("/proc"))) if asked else []
    seen: dict[str, Any] = {
        "clock": now,
        "ahead": now - parameters["asked_at"] if parameters["asked_at"] else 0.0,
        "systemd": Path("/run/systemd/system").exists(),
        "flags": _flags(_read("/proc/cpuinfo")),
        "machine_id": _read("/etc/machine-id").strip(),
        "hostname": socket.gethostname(),
        "first": first,
        "free_mb": shutil.disk_usage(_existing(programs.parent)).free >> 20,
        "taken": {},
        "unresolved": {},
        "write_ms": [],
    }
    if first:
        seen["taken"] |= dict(taken(parameters["own_ports"], listening))
    seen["taken"] |= dict(foreign(parameters["cluster_ports"], listening, programs / "services"))
    if first and parameters["names"]:
        hosts = _package_hosts()
        problems = unresolved(hosts)
        # Somebody's further source may be gone for years.
        seen["unresolved"] = problems if len(problems) == len(hosts) else {}
    if parameters["data"] and not Path(parameters["data"]).exists() and not dry:
        seen["write_ms"] = write_times(_existing(Path(parameters["data"])))
    return seen


def listeners(proc: Path) -> Iterator[tuple[int, str, str]]:
    """Who listens at which TCP port: port, program, unit."""
    sockets: dict[str, int] = {}
    for table in ("net/tcp", "net/tcp6"):
        for line in _read(proc / table).splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                sockets[f"socket:[{words[9]}]"] = int(words[1].rpartition(":")[2], 16)
    if not sockets:
        return
    known: set[str] = set()
    for process in proc.glob("[0-9]*"):
        for handle in _handles(process):
            if handle in sockets:
                known.add(handle)
                unit = re.search(r"/([^/]+)\.service", _read(process / "cgroup"))
                yield sockets[handle], _read(process / "comm").strip(), unit[1] if unit else ""
    for handle in sockets.keys() - known:
        yield sockets[handle], "", ""


def taken(ports: Iterable[int], listening: list[tuple[int, str, str]]) -> Iterator[tuple[str, str]]:
    """The ports that cannot be had, each with the program that has it or the reason."""
    for port in ports:
        for family, everywhere in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
            if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
                continue
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind((everywhere, port))
                except OSError as error:
                    names = [
                        f"{program or 'another program'} listens there" for at, program, _ in listening if at == port
                    ]
                    yield str(port), names[0] if names else str(error.strerror)
                    break


def foreign(ports: Iterable[int], listening: list[tuple[int, str, str]], services: Path) -> Iterator[tuple[str, str]]:
    """The ports at which somebody listens who is no service of ours, each with that program."""
    for port in ports:
        for at, program, unit in listening:
            if at == port and not (unit and (services / unit).exists()):
                yield str(port), f"{program or 'another program'} listens there"
                break


def unresolved(hosts: Iterable[str], limit_s: float = 6.0) -> dict[str, str]:
    """The hosts that have no address here, with the reason."""
    problems = dict.fromkeys(hosts, f"no answer within {limit_s:g} s")

    def ask(host: str) -> None:
        try:
            socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
            problems.pop(host)
        except OSError as error:
            problems[host] = str(error.strerror or error)

    _at_once([(ask, host) for host in list(problems)], limit_s)
    return dict(problems)


def write_times(folder: Path) -> list[float]:
    """How long writes take until they are safe, each in milliseconds."""
    times: list[float] = []
    began = time.monotonic()
    with tempfile.TemporaryFile(dir=folder) as file:
        while len(times) < _WRITES and time.monotonic() - began < _WRITING_S:
            start = time.monotonic()
            file.write(os.urandom(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append((time.monotonic() - start) * 1000)
    return times


def reach(peers: dict[str, Any], limit_s: float = REACH_S) -> dict[str, str]:
    """The peers that cannot be reached, with the reason. One that refuses the port is reached."""
    problems = {name: "no answer" for name, peer in peers.items() if peer["address"]}

    def ask(name: str) -> None:
        try:
            socket.create_connection((peers[name]["address"], int(peers[name]["port"])), timeout=limit_s).close()
        except ConnectionRefusedError:
            pass  # by the machine itself
        except TimeoutError:
            return
        except OSError as error:
            problems[name] = str(error.strerror or error)
            return
        problems.pop(name)

    _at_once([(ask, name) for name in list(problems)], limit_s + 1)
    return dict(problems)


def _at_once(jobs: list[tuple[Any, str]], limit_s: float) -> None:
    """Run all of them and wait so long; who hangs is left behind."""
    threads = [threading.Thread(target=job, args=(word,), daemon=True) for job, word in jobs]
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _package_hosts() -> list[str]:
    """The hosts that apt asks for packages; none where it has a proxy, which knows them itself."""
    proxies = subprocess.run(
        ["apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    if proxies.stdout.strip():
        return []
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    urls = (url for file in files for url in _SOURCES.findall(_read(file)))
    return sorted({host for url in urls if (host := urlsplit(url).hostname)})


def _handles(process: Path) -> Iterator[str]:
    try:
        for handle in (process / "fd").iterdir():
            try:
                yield str(handle.readlink())
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return  # it ended meanwhile


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _flags(cpuinfo: str) -> list[str]:
    found = re.search(r"^flags\s*:\s*(.*)$", cpuinfo, re.M)
    return found[1].split() if found else []


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "asked_at": {"type": "float", "default": 0},
            "programs": {"type": "path", "required": True},
            "own_ports": {"type": "list", "elements": "int", "default": []},
            "cluster_ports": {"type": "list", "elements": "int", "default": []},
            "data": {"type": "path", "default": ""},
            "names": {"type": "bool", "default": False},
            "peers": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if module.params["peers"]:
        module.exit_json(changed=False, unreached=reach(module.params["peers"]))
    module.exit_json(changed=False, seen=look(module.params, dry=module.check_mode))


if __name__ == "__main__":
    main()
