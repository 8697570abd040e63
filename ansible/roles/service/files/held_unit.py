"""Lets a job of the cluster run as a systemd unit, in the unit's own sandbox: the two ends of one connection.

    held_unit.py hold SOCKET        the job's end: it ends the unit when it ends, and ends when the unit does
    held_unit.py run COMMAND...     the unit's end, which systemd starts when a job connects

Nomad runs no job as root, and nobody else may make the sandbox; systemd does, for whoever may open the socket. A job
that is killed loses its connection too, so that nothing of it lives on. A second job waits until the first one's unit
has ended.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

# The first file that systemd hands over.
LISTENING = 3
# Whoever made systemd start the unit has connected already.
CONNECT_S = 10.0
# How long the command may take to end before it is killed; Nomad gives its job 30.
END_S = 20.0


def run(listening: socket.socket, command: Sequence[str]) -> int:
    """Run the command for as long as the job holds its connection; the command's exit status, which the job hears."""
    listening.settimeout(CONNECT_S)
    try:
        job, _ = listening.accept()
    except TimeoutError:
        print("nobody holds the unit: the cluster starts it, as a job", file=sys.stderr)
        return 0
    with job:
        process = subprocess.Popen(command)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        ended = os.pidfd_open(process.pid)
        readable, _, _ = select.select([ended, job], [], [])
        if ended not in readable:
            process.terminate()
            if not select.select([ended], [], [], END_S)[0]:
                process.kill()
        os.close(ended)
        code = process.wait()
        code = code if code >= 0 else 128 - code
        try:
            job.sendall(f"{code}\n".encode())
        except OSError:
            print("the job was killed", file=sys.stderr)
        return code


def hold(path: str) -> int:
    """Hold the unit behind the socket until one of us ends; the exit status of its command."""
    with socket.socket(socket.AF_UNIX) as unit:
        try:
            unit.connect(path)
        except OSError as error:
            print(f"{path}: {error.strerror}; the unit's socket is off, run the playbook", file=sys.stderr)
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: unit.shutdown(socket.SHUT_WR))
        said = b""
        while more := unit.recv(64):
            said += more
    if not said.endswith(b"\n"):
        print("the unit was killed", file=sys.stderr)
        return 1
    return int(said)


def main(words: Sequence[str]) -> int:
    """Be one of the two ends; the exit status."""
    what, *rest = words
    if what == "hold":
        return hold(*rest)
    with socket.socket(fileno=LISTENING) as listening:
        return run(listening, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
