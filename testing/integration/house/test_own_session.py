"""What root has done as another user cannot reach back into root's terminal, and yet it is used like any program."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")]

USER = "nobody"
RUN = [sys.executable, "-I", "-m", "pipecatapp.cli.own_session", USER]
LIMIT_S = 60
PYTHON = "/usr/bin/python3"  # everybody may run it


class Terminal:
    """A terminal of root's with one program in it."""

    def __init__(self, *command: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            # Ignored where the tests were started in the background.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execvp(command[0], command)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            try:
                self.shown += os.read(self._fd, 4096).decode()
            except OSError:
                break
        assert text in self.shown

    def end(self) -> int:
        """Its exit code, -N after signal N."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


SPY = """
import fcntl, os, sys, termios
print('user', os.getuid(), 'leads', os.getsid(0) == os.getpid(), flush=True)
try:
    os.open('/dev/tty', os.O_RDWR)
    print('has a terminal', flush=True)
except OSError as error:
    print('no terminal', flush=True)
for name in (0, 1, 2):
    try:
        fcntl.ioctl(name, termios.TIOCSTI, b'x')
        print('typed', flush=True)
    except OSError:
        print('refused', flush=True)
try:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    print('taken', flush=True)
except OSError:
    print('kept', flush=True)
print('heard', input('say: '), flush=True)
sys.exit(7)
"""


def test_nothing_can_be_typed_into_roots_terminal_and_it_is_read_and_written_as_ever() -> None:
    terminal = Terminal(*RUN, PYTHON, "-c", SPY)
    terminal.wait_for("say: ")
    terminal.type("hello\n")
    terminal.wait_for("heard hello")
    assert terminal.end() == 7
    for told in ("leads True", "no terminal", "refused", "kept"):
        assert told in terminal.shown
    assert not any(told in terminal.shown for told in ("user 0", "has a terminal", "typed", "taken"))


def test_ctrl_c_ends_it() -> None:
    terminal = Terminal(*RUN, PYTHON, "-c", "import time; print('here', flush=True); time.sleep(600)")
    terminal.wait_for("here")
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT


def test_its_exit_code_and_its_pipes_are_those_of_the_program() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)"
    done = subprocess.run([*RUN, PYTHON, "-c", code], input="abc", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "ABC")
    killed = subprocess.run([*RUN, "/bin/sh", "-c", "kill -TERM $$"], check=False)
    assert killed.returncode == -signal.SIGTERM


def test_a_verb_that_gives_up_roots_rights_does_so_apart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    tmp_path.chmod(0o755)
    code = (
        "import os, sys; sys.path.insert(0, 'src'); from pathlib import Path\n"
        "from pipecatapp.cli.privileges import become_owner\n"
        f"become_owner(Path({str(state)!r}))\n"
        "print('user', os.getuid(), 'leads', os.getsid(0) == os.getpid(), flush=True)"
    )
    terminal = Terminal(sys.executable, "-c", code)
    terminal.wait_for("user 65534 leads True")
    assert terminal.end() == 0
