"""A backup: whole or refused, private, without links, and back as it was."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipecatapp.cli.backup import vault_folder
from pipecatapp.cli.main import main
from pipecatapp.errors import StorageError
from pipecatapp.settings import Settings
from pipecatapp.storage.backup import FORMAT, BackupReader, unpack
from pipecatapp.storage.backup_parts import copy_journal_at_rest, replace_vault, restore_files, restore_state
from pipecatapp.storage.part import Storage

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CLUSTER_VAULT", str(tmp_path / "vault"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a note in its journal and what a running agent leaves beside it."""
    folder = tmp_path / "state"
    for name in ("tls/ca.key", "models/big.gguf", "engine/debian/llama-server", "events/kitchen.jsonl", "token"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        (folder / name).chmod(0o600)
    (folder / "serving.json").write_text("{}")
    (folder / ".token.ab12.new").write_text("half")
    note(folder, "kept")
    return folder


def note(folder: Path, value: str) -> None:
    async def write() -> None:
        storage = Storage(folder)
        await storage.journal.run(storage.journal.note, "test", value)
        await storage.stop()

    asyncio.run(write())


def noted(journal: Path) -> str:
    with sqlite3.connect(journal) as opened:
        return str(opened.execute("SELECT value FROM meta WHERE name = 'test'").fetchone()[0])


def names(file: Path) -> list[str]:
    with tarfile.open(file) as archive:
        return archive.getnames()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def archive(fill: Callable[[tarfile.TarFile], None], form: int = FORMAT, end: bool = True) -> io.BytesIO:
    """An archive of somebody else's making."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        manifest = json.dumps({"format": form, "version": "9.9", "made_at": 0, "parts": ["state"]}).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
        fill(tar)
        if end:
            tar.addfile(tarfile.TarInfo("end"))
    made.seek(0)
    return made


def test_what_must_survive_is_in_it_and_nothing_else(state: Path, tmp_path: Path) -> None:
    os.umask(0)
    file = tmp_path / "backup.tar.gz"

    assert main(["backup", str(file)]) == 0

    os.umask(0o022)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(file) == [
        "manifest.json", "state", "state/token", "state/events", "state/events/kitchen.jsonl", "state/tls",
        "state/tls/ca.key", "state/journal.db", "end",
    ]  # fmt: skip
    assert not list(state.glob(".journal*"))


def test_it_comes_back_as_it_was(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])
    note(state, "changed")
    (state / "token").write_text("another")
    (state / "events/study.jsonl").write_text("new")

    assert main(["restore", "--yes", str(file)]) == 0

    assert noted(state / "journal.db") == "kept"
    assert (state / "token").read_text() == "token"
    assert stat.S_IMODE((state / "token").stat().st_mode) == 0o600
    assert not (state / "events/study.jsonl").exists()
    assert (state / "models/big.gguf").read_text() == "models/big.gguf"
    assert not [path.name for path in state.iterdir() if path.name.startswith((".restored", ".replaced"))]


def test_a_log_that_belongs_to_another_journal_is_not_left_beside_it(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])
    (state / "journal.db-wal").write_bytes(b"of another one")

    main(["restore", "--yes", str(file)])

    assert not (state / "journal.db-wal").exists()


def test_nothing_is_replaced_without_a_yes(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])
    (state / "token").write_text("another")
    before = contents(state)

    code = main(["restore", str(file)])  # no terminal: the question has no answer

    assert code != 0
    assert contents(state) == before
    assert "It replaces what this machine remembers" in capsys.readouterr().out


def test_a_running_agent_is_neither_read_nor_replaced(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])

    async def while_it_runs() -> None:
        storage = Storage(state)
        await storage.journal.open()
        before = contents(state)
        # Its journal is asked for over HTTP, and nobody answers there.
        assert await asyncio.to_thread(main, ["backup", str(tmp_path / "second.tar.gz")]) != 0
        assert await asyncio.to_thread(main, ["restore", "--yes", str(file)]) != 0
        assert contents(state) == before
        await storage.stop()

    asyncio.run(while_it_runs())
    assert not (tmp_path / "second.tar.gz").exists()


def test_the_copy_that_a_running_agent_makes_is_whole_and_has_nothing_forgotten(state: Path) -> None:
    async def copy() -> Path:
        storage = Storage(state)
        await storage.journal.run(storage.journal.note, "test", "forgotten words")
        await storage.journal.run(storage.journal.note, "test", "kept")
        path = await storage.copy_journal()
        await storage.stop()
        return path

    path = asyncio.run(copy())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert noted(path) == "kept"
    assert b"forgotten words" not in path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_torn_file_is_refused_before_anything_changes(state: Path, tmp_path: Path, share: float) -> None:
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    before = contents(state)

    assert main(["restore", "--yes", str(file)]) == 1
    assert contents(state) == before


def test_a_file_that_lacks_its_last_bytes_is_refused() -> None:
    whole = archive(lambda tar: tar.addfile(_file("state/token"))).getvalue()
    list(BackupReader(io.BytesIO(whole)).entries("state"))
    for missing in range(1, 64):
        with pytest.raises(StorageError):
            list(BackupReader(io.BytesIO(whole[:-missing])).entries("state"))


def test_one_without_its_end_is_refused() -> None:
    with pytest.raises(StorageError, match="torn"):
        list(BackupReader(archive(lambda tar: tar.addfile(_file("state/token")), end=False)).entries("state"))


def test_a_newer_form_is_refused_with_the_next_step(state: Path) -> None:
    with pytest.raises(StorageError, match=r"made by version 9\.9, in a newer form; update this program"):
        BackupReader(archive(lambda tar: None, form=FORMAT + 1))


def test_a_newer_journal_is_refused(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    with sqlite3.connect(state / "journal.db") as journal:
        journal.execute("PRAGMA user_version=99")
    main(["backup", str(file)])
    before = contents(state)

    assert main(["restore", "--yes", str(file)]) == 1
    assert contents(state) == before


def test_a_damaged_journal_is_refused(state: Path, tmp_path: Path) -> None:
    damaged = archive(lambda tar: tar.addfile(_file("state/journal.db", 4096), io.BytesIO(b"x" * 4096)))
    before = contents(state)

    with pytest.raises(StorageError, match="journal in the backup"):
        restore_state(BackupReader(damaged).entries("state"), state)

    assert contents(state) == before


def _file(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, target
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        _file("../outside"),
        _file("/etc/passwd"),
        _file("state/../../outside"),
        _file("state/link", kind=tarfile.SYMTYPE, target="/etc"),
        _file("state/hard", kind=tarfile.LNKTYPE, target="token"),
        _file("state/device", kind=tarfile.CHRTYPE),
        _file("state/pipe", kind=tarfile.FIFOTYPE),
    ],
    ids=lambda entry: entry.name,
)
def test_an_entry_that_leads_elsewhere_is_refused(state: Path, entry: tarfile.TarInfo) -> None:
    before = contents(state)

    with pytest.raises(StorageError, match="no backup has"):
        restore_state(BackupReader(archive(lambda tar: tar.addfile(entry))).entries("state"), state)

    assert contents(state) == before


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    def twice(tar: tarfile.TarFile) -> None:
        tar.addfile(_file("state/token"))
        tar.addfile(_file("state/token"))

    with pytest.raises(FileExistsError):
        unpack(BackupReader(archive(twice)).entries("state"), tmp_path)


def test_settings_replace_those_of_their_name_and_no_link_is_followed(tmp_path: Path) -> None:
    settings, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    for folder in (settings, elsewhere):
        folder.mkdir()
    (settings / "own.txt").write_text("a person's")
    (elsewhere / "router.txt").write_text("another program's")

    def fill(tar: tarfile.TarFile) -> None:
        for name in ("settings", "settings/prompts"):
            tar.addfile(_file(name, kind=tarfile.DIRTYPE))
        tar.addfile(_file("settings/prompts/router.txt", 3), io.BytesIO(b"new"))

    assert restore_files(BackupReader(archive(fill)).entries("settings"), settings) == 1
    assert (settings / "prompts/router.txt").read_text() == "new"
    assert (settings / "own.txt").read_text() == "a person's"

    (settings / "prompts/router.txt").unlink()
    (settings / "prompts").rmdir()
    (settings / "prompts").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="is a link"):
        restore_files(BackupReader(archive(fill)).entries("settings"), settings)
    assert (elsewhere / "router.txt").read_text() == "another program's"
    assert not list(settings.glob(".*"))


def test_the_vault_comes_back_private_and_the_one_before_is_put_aside(state: Path, tmp_path: Path) -> None:
    vault = vault_folder()
    (vault / "nodes/n1").mkdir(parents=True, mode=0o700)
    vault.chmod(0o700)
    (vault / "secrets.yaml").write_text("first")
    (vault / "secrets.yaml").chmod(0o600)
    file = tmp_path / "backup.tar.gz"
    main(["backup", str(file)])
    (vault / "secrets.yaml").write_text("second")

    with file.open("rb") as opened:
        aside = replace_vault(BackupReader(opened).entries("vault"), vault)

    assert (vault / "secrets.yaml").read_text() == "first"
    assert aside is not None
    assert (aside / "secrets.yaml").read_text() == "second"
    for path, mode in ((vault, 0o700), (vault / "nodes", 0o700), (vault / "secrets.yaml", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_journal_with_a_log_of_a_killed_agent_is_copied_whole(state: Path, tmp_path: Path) -> None:
    with sqlite3.connect(state / "journal.db", isolation_level=None) as killed:
        killed.execute("PRAGMA journal_mode=WAL")
        killed.execute("UPDATE meta SET value = 'in the log' WHERE name = 'test'")
        assert (state / "journal.db-wal").stat().st_size > 0
        target = tmp_path / "copy.db"
        target.touch()
        copy_journal_at_rest(state, target)

    assert noted(target) == "in the log"


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"words")

    assert main(["restore", "--yes", str(tmp_path / "file")]) == 1
    assert main(["restore", "--yes", str(tmp_path / "none")]) == 2
