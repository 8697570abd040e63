"""One SSH connection, in a thread: log in, run a command, take what it prints until it ends or is ended."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipecatapp.errors import ToolError
from pipecatapp.tools.output import BoundedOutput, NewestLine
from pipecatapp.tools.ssh_folder import SshFolder, changed
from pipecatapp.tools.ssh_target import Target

if TYPE_CHECKING:
    from paramiko import AuthenticationException, Channel, PKey, SSHClient, Transport

    Connection: TypeAlias = socket.socket | Channel

CONNECT_S = 10.0
_AUTH_S = 20.0
_PRINTED_BYTES = 8 * 1024 * 1024
_LOOK_EVERY_S = 0.1
_QUIET_S = 1.0  # a child that keeps the output open is not waited for longer
_CHUNK = 64 * 1024
# Every command of one connection is a child of the same sshd process: this one ends the others with their groups.
_END_OTHERS = (
    'for p in $(pgrep -P "$PPID" || ps -o pid= --ppid "$PPID"); do '
    '[ "$p" = "$$" ] || kill -TERM "-$p" || kill -TERM "$p"; done 2>/dev/null'
)

Ending = Literal["exit", "lost", "time", "output", "stopped"]

# What goes wrong is said in our own sentences.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(slots=True)
class Command:
    """A command that runs elsewhere. ``stop`` ends it from another thread.

    Args:
        target: where.
        text: the command line, for the shell there.
        seconds: how long it may take.
        show: gets the newest line.
        seen: the key of a new host that a person saw and said yes to (``ssh_folder.seen_as``).
    """

    target: Target
    text: str
    seconds: float
    show: Callable[[str], None]
    stop: threading.Event
    seen: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a command ended; ``code`` is -1 where there is none."""

    ending: Ending
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class _Accepting:
    """``paramiko.MissingHostKeyPolicy``: a new host is known from now on if a person saw this key on the card."""

    folder: SshFolder
    target: Target
    seen: str

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Raises ToolError when nobody saw it."""
        self.folder.accept(self.target, key, self.seen)


def host_key(folder: SshFolder, target: Target) -> PKey:
    """The key that a host shows; nobody is logged in there, only on the hosts on the way. Raises ToolError."""
    from paramiko import Transport

    with _way(folder, target) as connection, _told(target):
        transport = Transport(connection)
        try:
            transport.banner_timeout = CONNECT_S
            transport.start_client(timeout=CONNECT_S)
            return transport.get_remote_server_key()
        finally:
            transport.close()


def run(folder: SshFolder, command: Command) -> RunResult:
    """Log in and run it. Raises ToolError."""
    with _way(folder, command.target) as connection:
        client = _log_in(folder, command.target, connection, command.seen)
        try:
            with _told(command.target):
                return _run(_transport(client), command)
        finally:
            client.close()


@contextmanager
def _way(folder: SshFolder, target: Target) -> Iterator[Connection]:
    """A connection to the target, through the hosts on the way; those are closed with it."""
    with ExitStack() as stack:
        first, *rest = (*target.jumps, target)
        with _told(first):
            connection: Connection = socket.create_connection((first.address, first.port), timeout=CONNECT_S)
        stack.callback(connection.close)
        here = first
        for following in rest:
            client = _log_in(folder, here, connection, "")
            stack.callback(client.close)
            connection = _through(here, _transport(client), following)
            here = following
        yield connection


def _through(here: Target, transport: Transport, following: Target) -> Channel:
    from paramiko import ChannelException

    place = (following.address, following.port)
    with _told(here):
        try:
            return transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=CONNECT_S)
        except ChannelException as error:
            raise ToolError(f"{here.name} does not reach {following.name}: {error.text}") from error


def _transport(client: SSHClient) -> Transport:
    transport = client.get_transport()
    if transport is None:
        raise EOFError
    return transport


def _log_in(folder: SshFolder, target: Target, connection: Connection, seen: str) -> SSHClient:
    from paramiko import AuthenticationException, BadHostKeyException, SSHClient

    client = SSHClient()
    for host, keys in folder.known().items():
        for kind, key in keys.items():
            client.get_host_keys().add(host, kind, key)
    client.set_missing_host_key_policy(_Accepting(folder, target, seen))
    first, *others = folder.keys(target)
    password = folder.password(target)
    try:
        with _told(target):
            try:
                client.connect(
                    target.address,
                    target.port,
                    target.user,
                    sock=connection,
                    pkey=first,
                    password=None if others else password,
                    timeout=CONNECT_S,
                    banner_timeout=CONNECT_S,
                    auth_timeout=_AUTH_S,
                    allow_agent=False,
                    look_for_keys=False,
                )
            except AuthenticationException as refused:
                if not others:
                    raise
                _try_others(_transport(client), target.user, others, password, refused)
    except BadHostKeyException as error:
        client.close()
        raise ToolError(changed(target, error.expected_key, error.key)) from error
    except BaseException:
        client.close()
        raise
    return client


def _try_others(
    transport: Transport, user: str, keys: list[PKey], password: str | None, refused: AuthenticationException
) -> None:
    """The first key was refused. Raises AuthenticationException when nothing else is taken."""
    from paramiko import AuthenticationException

    for key in keys:
        try:
            transport.auth_publickey(user, key)
        except AuthenticationException as error:
            refused = error
        else:
            return
    if password is None:
        raise refused
    transport.auth_password(user, password)


def _run(transport: Transport, command: Command) -> RunResult:
    channel = transport.open_session(timeout=CONNECT_S)
    channel.exec_command(command.text)
    channel.shutdown_write()
    out, err, newest = BoundedOutput(), BoundedOutput(), NewestLine(command.show)
    deadline = time.monotonic() + command.seconds
    ending: Ending | None = None
    quiet_since: float | None = None
    while ending is None:
        if channel.recv_ready() or channel.recv_stderr_ready():
            quiet_since = None
            for kept, ready, take in (
                (out, channel.recv_ready, channel.recv),
                (err, channel.recv_stderr_ready, channel.recv_stderr),
            ):
                if ready():
                    data = take(_CHUNK)
                    kept.add(data)
                    newest.add(data)
        elif channel.exit_status_ready():
            quiet_since = quiet_since or time.monotonic()
            if channel.eof_received or time.monotonic() - quiet_since > _QUIET_S:
                ending = "exit"
            else:
                select.select([channel], [], [], _LOOK_EVERY_S)
        elif channel.closed or not transport.is_active():
            ending = "lost"
        elif channel.eof_received:
            channel.status_event.wait(_LOOK_EVERY_S)
        else:
            select.select([channel], [], [], _LOOK_EVERY_S)
        if ending is None:
            ending = _too_much(command, deadline, out.total + err.total)
    if ending in ("time", "output", "stopped"):
        _end(transport, channel)
    code = channel.recv_exit_status() if ending == "exit" else -1
    return RunResult("lost" if ending == "exit" and code < 0 else ending, code, out.text(), err.text())


def _too_much(command: Command, deadline: float, printed: int) -> Ending | None:
    if command.stop.is_set():
        return "stopped"
    if time.monotonic() > deadline:
        return "time"
    return "output" if printed > _PRINTED_BYTES else None


def _end(transport: Transport, channel: Channel) -> None:
    """End what still runs there: sshd lets a command that has no terminal go on when its channel closes."""
    from paramiko import SSHException

    with suppress(SSHException, OSError, EOFError):
        ender = transport.open_session(timeout=2.0)
        ender.exec_command(_END_OTHERS)
        ender.status_event.wait(2.0)
        ender.close()
    channel.close()


@contextmanager
def _told(target: Target) -> Iterator[None]:
    """What can go wrong on the way, in sentences."""
    from paramiko import AuthenticationException, BadHostKeyException, SSHException
    from paramiko.ssh_exception import NoValidConnectionsError

    where = target.name if target.port == 22 else f"{target.name} port {target.port}"
    try:
        yield
    except (BadHostKeyException, ToolError):
        raise
    except AuthenticationException as error:
        raise ToolError(
            f"{where} does not let {target.user} in; install my key there (pipecatapp ssh key prints it), or store a "
            f"password: pipecatapp ssh password {target.account}"
        ) from error
    except NoValidConnectionsError as error:
        raise ToolError(_unreachable(where, next(iter(error.errors.values())))) from error
    except SSHException as error:
        raise ToolError(f"{where} does not speak SSH as it should: {error}") from error
    except EOFError as error:
        raise ToolError(f"{where} ended the connection") from error
    except OSError as error:
        raise ToolError(_unreachable(where, error)) from error


def _unreachable(where: str, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"nobody knows a host {where}; check the name, or give its address"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer within {CONNECT_S:g} seconds"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refuses the connection; is its SSH server running?"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"{where} cannot be reached; is it switched on and in this network?"
    return f"the connection to {where} failed: {error.strerror or error}"
