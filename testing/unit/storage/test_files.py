"""The operating system's files, through the seam."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.storage.files import RealFiles, keep_copy, set_aside

pytestmark = pytest.mark.unit


def test_a_file_is_written_synced_cut_and_replaced(tmp_path: Path) -> None:
    files = RealFiles()
    output = files.create(tmp_path / "new")
    output.write(b"one\ntwo\nthr")
    output.sync()
    output.truncate(8)
    output.close()
    files.rename(tmp_path / "new", tmp_path / "file")
    files.sync_folder(tmp_path)
    more = files.append(tmp_path / "file")
    more.write(b"three")
    more.close()

    assert list(files.lines(tmp_path / "file")) == [b"one\n", b"two\n", b"three"]
    assert b"".join(files.chunks(tmp_path / "file")) == b"one\ntwo\nthree"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_users_cannot_read_memories(tmp_path: Path) -> None:
    files = RealFiles()
    files.make_folder(tmp_path / "state")
    files.create(tmp_path / "state" / "file").close()

    assert (tmp_path / "state").stat().st_mode & 0o007 == 0
    assert (tmp_path / "state" / "file").stat().st_mode & 0o077 == 0


def test_the_lock_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipecatapp.storage.files import RealFiles;"
        "lock = RealFiles().lock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"

        with pytest.raises(StorageError, match=f"locked by process {holder.pid}"):
            RealFiles().lock(tmp_path / "lock")
        holder.kill()

    RealFiles().lock(tmp_path / "lock").release()


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    RealFiles().lock(tmp_path / "lock").release()
    RealFiles().lock(tmp_path / "lock").release()


def test_setting_aside_and_copying_keep_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")

    copy = keep_copy(RealFiles(), tmp_path / "file", "damaged", 0.0)
    aside = set_aside(RealFiles(), tmp_path / "file", "foreign", 0.0)

    assert copy.read_bytes() == aside.read_bytes() == b"content"
    assert not (tmp_path / "file").exists()
    assert (copy.name, aside.name) == ("file.damaged-19700101T000000Z", "file.foreign-19700101T000000Z")
