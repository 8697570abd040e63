"""The verbs ``backup`` and ``restore``: everything that must survive, in one file.

Root writes and reads what is root's. The state folder belongs to another user, who could put links there, so that
user's part is done by a process of that user; the two hand each other an archive through a pipe.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NoReturn

import click

from pipecatapp.cli.own_session import become
from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, Verb
from pipecatapp.errors import ConfigurationError, InUseError, PipecatAppError, StorageError

if TYPE_CHECKING:
    from pipecatapp.settings import Settings
    from pipecatapp.storage.backup import BackupWriter, Entries


class RootVerb(Verb):
    """A verb that stays root where root runs it."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, keeps_root=True, **more)  # type: ignore[arg-type]


@click.command(cls=RootVerb, example="sudo pipecatapp backup /media/stick/pipecatapp-backup.tar.gz")
@click.argument("file", help="Where to. Whoever has it can log in: keep it safe.")
def backup(file: str) -> int:
    """Write settings, state and a cluster's vault to a file, while the agent runs."""
    from pipecatapp.settings import load_settings

    settings = load_settings()
    path = Path(file).absolute()
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent}; name a file in one that is there")
    _write(path, settings)
    return OK


@click.command(cls=RootVerb, example="sudo pipecatapp restore /media/stick/pipecatapp-backup.tar.gz")
@click.argument("file", help="A file that `pipecatapp backup` made.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: str, yes: bool) -> int:
    """Bring a backup back. What is there now is replaced."""
    from pipecatapp.settings import load_settings

    settings = load_settings()
    return _restore(Path(file), settings, yes=yes)


# Backing up -------------------------------------------------------------------------------------------------------


def _write(path: Path, settings: Settings) -> None:
    from pipecatapp import __version__
    from pipecatapp.paths import settings_folder
    from pipecatapp.storage.atomic import replacing
    from pipecatapp.storage.backup import FORMAT, BackupWriter, Manifest
    from pipecatapp.storage.backup_parts import vault_at_rest

    vault, edited = vault_folder(), settings_folder()
    parts = {"settings": edited is not None, "state": settings.state_dir.is_dir(), "vault": vault.is_dir()}
    if not parts["state"]:
        raise ConfigurationError(f"there is nothing to back up: {settings.state_dir} is not there; check STATE_DIR")
    try:
        with replacing(path) as file:
            held = tuple(name for name, there in parts.items() if there)
            writer = BackupWriter(file, Manifest(FORMAT, __version__, time.time(), held))
            # First, while this process has read no secret of root's that the other one would inherit.
            _add_state(writer, settings)
            if edited is not None:
                writer.add_folder("settings", edited)
            if parts["vault"]:
                with vault_at_rest(vault):
                    writer.add_folder("vault", vault)
            writer.finish()
    except PermissionError as error:
        raise ConfigurationError(f"{error.filename} may not be read: run sudo pipecatapp backup {path}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}; name another file") from error
    named = {"settings": "settings", "state": "what it remembers", "vault": "the cluster's vault"}
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB): {', '.join(named[part] for part in held)}")
    say("Whoever has this file can log in. Models and engines are not in it: they are fetched again.")


def _add_state(writer: BackupWriter, settings: Settings) -> None:
    from pipecatapp.storage.backup import BackupWriter, entries_of_part
    from pipecatapp.storage.backup_parts import add_state

    state, copier = settings.state_dir, _journal_copier(settings)
    if state.stat().st_uid == os.geteuid():
        add_state(writer, state, copier)
        return

    def send(pipe: IO[bytes]) -> None:
        part = BackupWriter(pipe)
        add_state(part, state, copier)
        part.finish()

    with _of_owner(state, send, "rb") as pipe:
        for _, entry, content in entries_of_part(pipe, "state"):
            writer.add_entry(entry, content)


def _journal_copier(settings: Settings) -> Callable[[Path], None]:
    """Asks the agent for a copy where it runs: nobody else may open its journal."""
    from pipecatapp.cli.client import Client
    from pipecatapp.storage.backup_parts import copy_journal_at_rest

    def copy(target: Path) -> None:
        try:
            copy_journal_at_rest(settings.state_dir, target)
        except InUseError:
            Client.of(settings).download("/api/backup/journal", target)

    return copy


# Restoring --------------------------------------------------------------------------------------------------------


def _restore(path: Path, settings: Settings, *, yes: bool) -> int:
    try:
        with path.open("rb") as file:
            return _restore_from(file, path, settings, yes=yes)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; name a file that backup made") from error


def _restore_from(file: IO[bytes], path: Path, settings: Settings, *, yes: bool) -> int:
    from pipecatapp.paths import INSTALLED
    from pipecatapp.storage.backup import BackupReader
    from pipecatapp.storage.backup_parts import replace_vault, restore_files

    def entries(part: str) -> Entries:
        file.seek(0)
        return BackupReader(file).entries(part)

    manifest = BackupReader(file).manifest
    parts = set(manifest.parts)
    for _ in entries(""):
        pass  # to its end: a torn file is refused before anything is changed
    if os.geteuid() != 0 and parts - {"state"}:
        raise ConfigurationError(f"the backup has root's files, too: run sudo pipecatapp restore {path}")
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.made_at))
    say(f"{path}: of {made}, by version {manifest.version}, with {', '.join(manifest.parts)}")
    _check_house(settings, path)
    say("It replaces what this machine remembers and its settings of the same names; models and engines stay.")
    if "vault" in parts and vault_folder().exists():
        say(f"It replaces the cluster's vault, too; the one in {vault_folder()} is put aside.")
    if not yes and not click.confirm("Restore it?", default=False):
        say("Nothing was changed.")
        return FAILED
    with _stopped_agent():
        count = _restore_state(entries("state"), settings)
        if "settings" in parts:
            restore_files(entries("settings"), INSTALLED)
        aside = replace_vault(entries("vault"), vault_folder()) if "vault" in parts else None
    say(f"Restored: {count} files of state{', the settings' if 'settings' in parts else ''}")
    if "vault" in parts:
        say(
            f"The vault is in {vault_folder()}"
            + (f", the one from before in {aside}: delete it later" if aside else "")
        )
    return OK


def _check_house(settings: Settings, path: Path) -> None:
    """Several PCs have one memory, which is in their servers' log: a file on one disk would only be put aside."""
    from pipecatapp.storage.part import access_of
    from pipecatapp.storage.replication.house_log import has_log
    from pipecatapp.storage.replication.link import LinkError, RefusedError

    if (access := access_of(settings)) is None:
        return
    try:
        there = has_log(access)
    except (LinkError, RefusedError) as error:
        say(
            f"The servers of the house's memory cannot be asked ({error}). Where they have one, it counts when they "
            "are back, and what is restored here is kept beside it."
        )
        return
    if there:
        raise ConfigurationError(
            "the PCs of this house have one memory, and it would take the place of what is restored. To have the file "
            "count instead, on all of them stop the agent and nats and delete /var/lib/nats, start nats again, then "
            f"here: sudo pipecatapp cluster restore {path} (docs/operations/survive.md)"
        )


def _restore_state(entries: Entries, settings: Settings) -> int:
    from pipecatapp.storage.backup import BackupWriter, entries_of_part
    from pipecatapp.storage.backup_parts import restore_state

    state = settings.state_dir
    if not state.exists() or state.stat().st_uid == os.geteuid():
        return restore_state(entries, state)
    count = 0
    with _of_owner(state, lambda pipe: restore_state(entries_of_part(pipe, "state"), state), "wb") as pipe:
        writer = BackupWriter(pipe)
        for _, entry, content in entries:
            writer.add_entry(entry, content)
            count += entry.isreg()
        writer.finish()
    return count


@contextmanager
def _stopped_agent() -> Iterator[None]:
    """The services of an installed node rest in the block. Elsewhere the agent must be stopped already."""
    from pipecatapp.paths import services_command

    command = services_command() if os.geteuid() == 0 else None
    if command is None:
        yield
        return
    subprocess.run([command, "stop"], check=True)
    try:
        yield
    finally:
        subprocess.run([command, "start"], check=True)


@contextmanager
def _of_owner(folder: Path, work: Callable[[IO[bytes]], object], mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
    """Let a process of the folder's owner do the work at the other end of the pipe; StorageError where it fails.

    Args:
        mode: of this end.
    """
    if os.geteuid() != 0:
        raise ConfigurationError(f"{folder} belongs to another user: run this with sudo")
    try:
        owner = pwd.getpwuid(folder.stat().st_uid)
    except KeyError as error:
        raise ConfigurationError(f"{folder} belongs to a user who does not exist; run bootstrap.sh") from error
    ours, theirs = os.pipe() if mode == "rb" else reversed(os.pipe())
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _work_and_end(owner, work, os.fdopen(theirs, "wb" if mode == "rb" else "rb"), tells)
    os.close(theirs)
    os.close(tells)
    trouble: Exception | None = None
    try:
        with os.fdopen(ours, mode) as pipe:
            yield pipe
    except (OSError, StorageError) as error:
        trouble = error  # a pipe breaks because of what the other one has to tell
    with os.fdopen(told, "rb") as file:
        said = file.read().decode(errors="replace")
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 or trouble is not None:
        raise StorageError(said or str(trouble or f"{folder} could not be used")) from trouble


def _work_and_end(
    owner: pwd.struct_passwd, work: Callable[[IO[bytes]], object], pipe: IO[bytes], tells: int
) -> NoReturn:
    """The other process: it has no way back to root, and no file of its father's but its end of the pipe."""
    code = 1
    try:
        for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if descriptor > 2 and descriptor not in (pipe.fileno(), tells):
                with contextlib.suppress(OSError):  # the listing's own
                    os.close(descriptor)
        # In a session of its own nobody can type into root's terminal.
        os.setsid()
        become(owner)
        os.chdir("/")
        with pipe:
            work(pipe)
        code = 0
    except (OSError, PipecatAppError) as error:
        os.write(tells, str(error).encode()[:4000])
    finally:
        os._exit(code)


def vault_folder() -> Path:
    """Where the secrets of a cluster are on a control node (Ansible's module ``cluster_vault`` makes them)."""
    if named := os.environ.get("CLUSTER_VAULT", ""):
        return Path(named)
    return Path("/etc/pipecatapp-cluster") if os.geteuid() == 0 else Path.home() / ".config/pipecatapp-cluster"
