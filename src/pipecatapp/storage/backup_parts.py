"""What goes into a backup, and how it comes back: the state folder, the settings, the vault of a cluster."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pipecatapp.errors import StorageError
from pipecatapp.storage.atomic import move, sync_folder
from pipecatapp.storage.backup import BackupWriter, Entries, unpack
from pipecatapp.storage.journal import FORMAT as JOURNAL_FORMAT
from pipecatapp.storage.journal import NAME as JOURNAL
from pipecatapp.storage.lock import FileLock

# Fetched again, or only true of a program that runs.
_LEFT_OUT = ("models", "engine", "serving.json", "journal.lock")
_UNPACKED, _REPLACED = ".restored", ".replaced"


def add_state(writer: BackupWriter, folder: Path, copy_journal: Callable[[Path], None]) -> int:
    """Add the state folder; how many files. ``copy_journal`` writes a copy of the journal into the file it is given."""
    copied = folder / f".{JOURNAL}.copy"
    copied.unlink(missing_ok=True)

    def leave_out(name: str) -> bool:
        return name in _LEFT_OUT or name.startswith((JOURNAL, ".")) or name.endswith((".new", ".lock"))

    try:
        os.close(os.open(copied, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        copy_journal(copied)
        count = writer.add_folder("state", folder, leave_out)
        if copied.stat().st_size:
            writer.add_file(f"state/{JOURNAL}", copied)
            count += 1
    finally:
        copied.unlink(missing_ok=True)
    return count


def copy_journal_at_rest(folder: Path, target: Path) -> None:
    """Copy the journal of an agent that does not run, with its log; nothing where there is no journal.

    Raises:
        StorageError: the agent runs, or the journal cannot be read.
    """
    if not (folder / JOURNAL).is_file():
        return
    lock = FileLock(folder / "journal.lock")
    try:
        with (
            contextlib.closing(sqlite3.connect(folder / JOURNAL, timeout=0)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise StorageError(f"{folder / JOURNAL} cannot be copied: {error}") from error
    finally:
        lock.release()


def restore_state(entries: Entries, folder: Path) -> int:
    """Let the state folder hold what the entries say, models and engines excepted; how many files.

    What was there before is only replaced when everything is unpacked and the journal can be read.

    Raises:
        StorageError: the agent runs, or the entries cannot be used; the state is as it was.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    lock = FileLock(folder / "journal.lock")
    fresh, old = folder / _UNPACKED, folder / _REPLACED
    try:
        for leftover in (fresh, old):
            if leftover.is_symlink() or leftover.exists():
                _remove_tree(leftover)
        fresh.mkdir(mode=0o700)
        count = unpack(entries, fresh)
        _check_journal(fresh / JOURNAL)
        old.mkdir(mode=0o700)
        _swap(folder, fresh, old)
        _remove_tree(old)
    except OSError as error:
        raise StorageError(f"{folder} could not be restored: {error}") from error
    finally:
        _remove_tree(fresh)
        # Empty where everything went back to its place.
        with contextlib.suppress(OSError):
            old.rmdir()
        lock.release()
    return count


def _swap(folder: Path, fresh: Path, old: Path) -> None:
    kept = {*_LEFT_OUT, fresh.name, old.name}
    done: list[tuple[Path, Path]] = []
    try:
        for place, target in ((folder, old), (fresh, folder)):
            for path in sorted(place.iterdir()):
                if place != folder or path.name not in kept:
                    move(path, target / path.name)
                    done.append((target / path.name, path))
    except BaseException:
        for now, before in reversed(done):
            move(now, before)
        raise
    sync_folder(folder)


def _remove_tree(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _check_journal(path: Path) -> None:
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as journal:
            trouble = [row[0] for row in journal.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
            version = int(journal.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise StorageError(f"the journal in the backup cannot be read: {error}; take another one") from error
    if trouble:
        raise StorageError(f"the journal in the backup is damaged: {'; '.join(trouble)}; take another one")
    if version > JOURNAL_FORMAT:
        raise StorageError("the journal in the backup was written by a newer version; update this program first")


# Settings and the vault -------------------------------------------------------------------------------------------


def restore_files(entries: Entries, folder: Path) -> int:
    """Put files into a folder of root's, over those of the same names; how many. Others stay.

    Raises:
        StorageError: there is a link in the place of a folder or a file.
    """
    if folder.is_symlink():
        raise StorageError(f"{folder} is a link; remove it, then restore again")
    # Within the folder, which may be a file system of its own.
    fresh = folder / _UNPACKED
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_tree(fresh)
        fresh.mkdir(mode=0o700)
        count = unpack(entries, fresh, keep_group=os.geteuid() == 0)
        for path in [fresh, *sorted(fresh.rglob("*"))]:
            target = folder / path.relative_to(fresh)
            if target.is_symlink():
                raise StorageError(f"{target} is a link; remove it, then restore again")
            if path.is_dir() and not target.exists():
                target.mkdir(mode=stat.S_IMODE(path.stat().st_mode))
            elif path.is_file():
                move(path, target)
    except OSError as error:
        raise StorageError(f"{folder} could not be restored: {error}") from error
    finally:
        _remove_tree(fresh)
    return count


def replace_vault(entries: Entries, folder: Path) -> Path | None:
    """Let the vault be the archive's; where the one before lies now, if there was one and it was another."""
    fresh, aside = folder.with_name(f"{folder.name}{_UNPACKED}"), folder.with_name(f"{folder.name}.before-restore")
    _remove_tree(fresh)
    try:
        fresh.mkdir(mode=0o700, parents=True)
        unpack(entries, fresh)
        for path in fresh.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        had = folder.exists()
        if had:
            _remove_tree(aside)
            move(folder, aside)
        move(fresh, folder)
    except OSError as error:
        raise StorageError(f"{folder} could not be restored: {error}") from error
    return aside if had else None


@contextlib.contextmanager
def vault_at_rest(folder: Path) -> Iterator[None]:
    """Nobody changes the vault in the block."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
