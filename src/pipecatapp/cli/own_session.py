"""What root has done as another user happens in a session of its own, away from root's terminal.

That terminal stays open for reading and writing, but it is not the one that controls the session: whatever runs as the
other user cannot put characters into it as if root had typed them (TIOCSTI, which kernels before 6.2 let all do).

    python -I -m pipecatapp.cli.own_session USER PROGRAM [ARGUMENT...]
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
from types import FrameType
from typing import NoReturn

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def go_on_apart() -> None:
    """Go on in a child that has a session of its own. The parent keeps the terminal, passes signals on (Ctrl-C, Ctrl-Z)
    and ends as the child does. For a process that has one thread."""
    signals = {*_PASSED_ON, signal.SIGTSTP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = os.fork()
    if child:
        _attend(child, signals)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def become(user: pwd.struct_passwd) -> None:
    """Be this user, and nobody else, from here on."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def _attend(child: int, signals: set[signal.Signals]) -> NoReturn:
    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    def pause(_: int, __: FrameType | None) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGTSTP, pause)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def main(arguments: list[str]) -> NoReturn:
    """Become the user, apart, and run the program."""
    name, *command = arguments
    user = pwd.getpwnam(name)
    go_on_apart()
    become(user)
    os.execvp(command[0], command)  # noqa: S606 - there is no shell, and none is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
