"""``pipecatapp backup`` and ``restore``: beside an agent that runs, and as root where the state is another user's."""

from __future__ import annotations

import asyncio
import os
import pwd
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipecatapp.cli.main import main
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration


def facts(file: Path, folder: Path) -> list[str]:
    """The facts in the journal of a backup."""
    with tarfile.open(file) as archive:
        archive.extract("state/journal.db", folder, filter="data")
    with sqlite3.connect(folder / "state/journal.db") as journal:
        return [row[0] for row in journal.execute("SELECT text FROM facts ORDER BY id")]


async def test_a_backup_is_made_while_the_agent_runs(
    mission: Mission, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(mission.state_dir))
    monkeypatch.setenv("CLUSTER_VAULT", str(tmp_path / "none"))
    monkeypatch.setenv("WEB_PORT", mission.url.rpartition(":")[2])
    await mission.memory.add("the spare key is under the blue pot", kind="told")
    gone = await mission.memory.add("the safe's code is on the fridge", kind="told")
    await mission.memory.forget([str(gone.id)])
    file = tmp_path / "backup.tar.gz"

    code, _ = await asyncio.gather(
        asyncio.to_thread(main, ["backup", str(file)]), mission.memory.add("the dog is called Rex", kind="told")
    )

    assert code == 0
    assert facts(file, tmp_path)[:1] == ["the spare key is under the blue pot"]
    assert "safe's code" not in (tmp_path / "state/journal.db").read_bytes().decode("latin-1")
    assert not list(mission.state_dir.glob(".journal*"))
    assert await mission.memory.count() == 2


async def test_the_copy_is_for_who_has_the_token(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as stranger:
        assert (await stranger.get("/api/backup/journal")).status_code == 401


# As root ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def state(place: Path) -> Path:
    """A state folder of another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else; run scripts/test as root")
    folder = place / "state"
    (folder / "events").mkdir(parents=True)
    (folder / "token").write_text("secret")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, pwd.getpwnam("nobody").pw_uid, 65534)
    return folder


def pipecatapp(place: Path, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PIPECATAPP_CONFIG": str(place / "none.env"),
        "STATE_DIR": str(place / "state"),
        "CLUSTER_VAULT": str(place / "vault"),
    }
    return subprocess.run(
        [sys.executable, "-m", "pipecatapp", *words],
        env=environment, cwd=place, input=text, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_root_reads_nothing_through_the_links_of_the_states_owner(state: Path, place: Path) -> None:
    (place / "shadow").write_text("root:secret")
    (place / "shadow").chmod(0o600)
    (state / "events/kitchen.jsonl").symlink_to(place / "shadow")
    (state / "linked").symlink_to(place)

    done = pipecatapp(place, "backup", str(place / "backup.tar.gz"))

    assert done.returncode == 0, done.stderr
    with tarfile.open(place / "backup.tar.gz") as archive:
        names = archive.getnames()
    assert "state/token" in names
    assert not [name for name in names if "kitchen" in name or "linked" in name]
    assert (place / "backup.tar.gz").stat().st_uid == 0


def test_root_writes_nothing_through_the_links_of_the_states_owner(state: Path, place: Path) -> None:
    assert pipecatapp(place, "backup", str(place / "backup.tar.gz")).returncode == 0
    victim = place / "victim"
    victim.mkdir()
    (victim / "token").write_text("root's own")
    for name in (".restored", ".replaced", "events"):
        path = state / name
        if path.is_dir():
            path.rmdir()
        path.symlink_to(victim)
    (state / "token").write_text("another")

    done = pipecatapp(place, "restore", "--yes", str(place / "backup.tar.gz"))

    assert done.returncode == 0, done.stderr
    assert (state / "token").read_text() == "secret"
    assert (victim / "token").read_text() == "root's own"
    assert [path.name for path in victim.iterdir()] == ["token"]
    assert {path.stat().st_uid for path in (state / "token", state / "events")} == {pwd.getpwnam("nobody").pw_uid}


def test_the_question_is_asked_and_no_is_no(state: Path, place: Path) -> None:
    pipecatapp(place, "backup", str(place / "backup.tar.gz"))
    (state / "token").write_text("another")

    done = pipecatapp(place, "restore", str(place / "backup.tar.gz"), text="n\n")

    assert done.returncode == 1
    assert "Nothing was changed." in done.stdout
    assert (state / "token").read_text() == "another"
