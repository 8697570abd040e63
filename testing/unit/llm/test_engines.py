"""What an engine is started with."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pipecatapp.errors import EngineError
from pipecatapp.llm import debian
from pipecatapp.llm.engines import Engine, load_pins

pytestmark = pytest.mark.unit


def program(path: Path, text: str) -> Engine:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Engine(path.name, [str(path)])


def test_threads_that_wait_for_each_other_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("GOMP_SPINCOUNT", "infinity")
    monkeypatch.setenv("LLAMA_ARG_THREADS", "99")

    environment = Engine("x", ["x"]).environment()

    assert environment["OMP_WAIT_POLICY"] == "passive"
    assert not environment.keys() & {"GOMP_SPINCOUNT", "LLAMA_ARG_THREADS"}


def test_options_are_read_from_the_help(tmp_path: Path) -> None:
    engine = program(tmp_path / "e", "echo '-c,    --ctx-size N     size of it'; echo '--ui, --no-ui   page'")

    assert engine.options() == {"-c", "--ctx-size", "--ui", "--no-ui"}


@pytest.mark.parametrize(
    ("text", "reason"), [("echo no such library >&2; exit 1", "no such library"), ("kill -ILL $$", "signal 4")]
)
def test_a_program_that_does_not_run_says_why(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        program(tmp_path / "e", text).run("--version")


def test_a_program_that_is_not_there_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not run"):
        Engine("x", [str(tmp_path / "none")]).options()


def test_every_pinned_package_has_a_place_and_checksums() -> None:
    debian, native = load_pins()

    assert {"llama.cpp-tools", "libllama0", "libggml0", "libc6"} <= {package.name for package in debian.packages}
    for package in debian.packages:
        assert package.pool.startswith("pool/main/")
        assert package.file.startswith(f"{package.name}_")
        assert (len(package.sha256), len(package.sha1)) == (64, 40)
    assert len(native.sha256) == 64
    assert native.version in native.file


def test_a_program_of_an_unpacked_tree_is_started_as_the_tree_wants_it(tmp_path: Path) -> None:
    libraries = tmp_path / "debian-1/usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (libraries / "ld-linux-x86-64.so.2").touch()
    file = debian.rpc_server_in(tmp_path / "debian-1")

    engine = debian.program_of(file)

    assert engine.name == "debian-1"
    assert engine.command[0] == str(libraries / "ld-linux-x86-64.so.2")
    assert engine.command[-1] == str(file)
    assert engine.folder == libraries / "ggml/backends0"


def test_any_other_program_is_started_as_it_is() -> None:
    # Debian's own linker lies below the system's root as it does in a tree.
    assert debian.program_of(Path("/usr/bin/true")) == Engine("true", ["/usr/bin/true"])
