"""Replacing, creating and appending: in which order the disk is told, and that everybody goes through it."""

from __future__ import annotations

import ast
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pipecatapp
from pipecatapp.storage.atomic import append_lines, create_file, make_folder, move, remove, replace_file, replacing

pytestmark = pytest.mark.unit

# Temporary folders that are thrown away, /proc, and what a person named on the command line.
_ELSEWHERE = {
    ("llm/child.py", "write_text"),
    ("llm/native.py", "rename"),
    ("llm/debian.py", "write_text"),
    ("llm/debian.py", "replace"),
    ("llm/pip.py", "write_text"),
    ("tools/web_browser/browser.py", "write_text"),
    ("tools/sandbox_cgroup.py", "write_text"),  # files of the kernel
    ("storage/part.py", "write_bytes"),
    ("cli/memory.py", "write_bytes"),
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the operating system was asked for, in this order."""
    calls: list[str] = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def _fsync(descriptor: int) -> None:
        about = os.fstat(descriptor)
        calls.append("sync folder" if stat.S_ISDIR(about.st_mode) else f"sync {about.st_size}")
        fsync(descriptor)

    def _replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    def _link(source: Path, target: Path, **how: bool) -> None:
        calls.append("link")
        link(source, target, **how)

    monkeypatch.setattr(os, "fsync", _fsync)
    monkeypatch.setattr(os, "replace", _replace)
    monkeypatch.setattr(os, "link", _link)
    return calls


def test_content_is_on_the_disk_before_its_name_and_its_name_before_the_return(tmp_path: Path, told: list[str]) -> None:
    replace_file(tmp_path / "a", b"12345")
    assert told == ["sync 5", "rename", "sync folder"]
    told.clear()
    assert create_file(tmp_path / "b", "123")
    assert told == ["sync 3", "link", "sync folder"]
    told.clear()
    append_lines(tmp_path / "c", b"1\n")
    append_lines(tmp_path / "c", b"2\n")
    assert told == ["sync 2", "sync folder", "sync 4"]
    told.clear()
    move(tmp_path / "c", tmp_path / "d")
    assert told == ["sync 4", "rename", "sync folder"]
    told.clear()
    remove(tmp_path / "d")
    remove(tmp_path / "d")
    assert told == ["sync folder"]


def test_a_moved_folder_is_on_the_disk_with_all_that_is_in_it(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_bytes(b"1234567")
    move(tmp_path / "tree", tmp_path / "there")
    assert told == ["sync folder", "sync folder", "sync 7", "rename", "sync folder"]
    assert (tmp_path / "there/deep/file").read_bytes() == b"1234567"


def test_each_new_folder_has_its_name_in_the_one_above(tmp_path: Path, told: list[str]) -> None:
    make_folder(tmp_path / "one/two")
    make_folder(tmp_path / "one/two")
    assert told == ["sync folder", "sync folder"]
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) & 0o027 == 0


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_permissions_are_exact_whatever_the_umask_and_the_old_file(tmp_path: Path, mode: int) -> None:
    old = os.umask(0o077 if mode == 0o644 else 0)
    try:
        (tmp_path / "a").write_text("old")
        (tmp_path / "a").chmod(0o666)
        replace_file(tmp_path / "a", "new", mode)
        create_file(tmp_path / "b", "new", mode)
    finally:
        os.umask(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_a_secret_is_never_readable_by_others_while_it_is_written(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with replacing(tmp_path / "key") as file:
            file.write(b"secret")
            assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(old)


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", "old")

    def stopped() -> None:
        with replacing(tmp_path / "a") as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    replace_file(tmp_path / "a", "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "a").read_text() == "new"


def test_of_many_that_create_a_file_at_once_one_wins(tmp_path: Path) -> None:
    won: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(n) if create_file(tmp_path / "token", str(n)) else None)
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "token").read_text() == str(won[0])
    assert len(won) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_what_a_kill_left_is_removed_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    dead, busy = tmp_path / ".a[1].dead.new", tmp_path / ".a[1].busy.new"
    for path in (dead, busy):
        path.write_text("half")
    os.utime(dead, (time.time() - 7200,) * 2)
    replace_file(tmp_path / "a[1]", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [busy.name, "a[1]"]


def test_a_line_behind_a_torn_one_stands_by_itself(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"a": 1}\n{"to')
    append_lines(tmp_path / "log", b'{"b": 2}\n')
    assert (tmp_path / "log").read_bytes() == b'{"a": 1}\n{"to\n{"b": 2}\n'


def _write_for_ever(path: Path) -> None:
    number = 0
    while True:
        replace_file(path, f"{number:09d}" * 10_000)
        number += 1


def test_a_reader_and_a_kill_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "status"
    replace_file(path, "000000000" * 10_000)
    writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(path,))
    writer.start()
    try:
        for _ in range(200):
            content = path.read_text()
            assert content == content[:9] * 10_000
    finally:
        writer.kill()
        writer.join()
    content = path.read_text()
    assert content == content[:9] * 10_000


def test_everybody_writes_through_here() -> None:
    root = Path(pipecatapp.__file__).parent
    found: set[tuple[str, str]] = set()
    for file in root.rglob("*.py"):
        name = file.relative_to(root).as_posix()
        if name == "storage/atomic.py":
            continue
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Attribute) and (kind := _writes(call.func, call)):
                found.add((name, kind))
    assert found <= _ELSEWHERE


def _writes(function: ast.Attribute, call: ast.Call) -> str:
    """The name of a call that writes, renames or syncs a file; empty for another one."""
    of_os = isinstance(function.value, ast.Name) and function.value.id == "os"
    checks: dict[str, Callable[[], bool]] = {
        "write_text": lambda: True,
        "write_bytes": lambda: True,
        "hardlink_to": lambda: True,
        "rename": lambda: of_os or len(call.args) == 1,
        # Strings have it too, with two arguments; datetime and dataclasses with names alone.
        "replace": lambda: of_os or (len(call.args) == 1 and not call.keywords),
        "link": lambda: of_os,
        "fsync": lambda: of_os,
    }
    return function.attr if checks.get(function.attr, bool)() else ""
