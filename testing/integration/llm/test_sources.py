"""Where engines come from: Debian's pinned packages through this machine's apt, and a build with its tools."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.errors import EngineError
from pipecatapp.llm import debian, native, sources
from pipecatapp.llm.engines import Engine, NativePin, load_pins
from pipecatapp.machine import CpuClass, Machine

pytestmark = pytest.mark.integration

OLD = Machine(CpuClass.CORE2, frozenset({"ssse3"}), 1, 4000)

CMAKE = """#!/bin/sh
# Configures or "builds" a llama-server that only knows --version.
if [ "$1" = --build ]; then
  echo "[1/2] Building CXX object"
  if [ -e "$2/broken" ]; then echo "error: out of registers"; exit 1; fi
  mkdir -p "$2/bin"
  printf '#!/bin/sh\\necho version: native\\n' > "$2/bin/llama-server"
  chmod +x "$2/bin/llama-server"
  echo "[2/2] Linking"
else
  while [ "$1" != -B ]; do shift; done
  mkdir -p "$2"
  echo "$@" >> "$2/options"
fi
"""


def test_debians_packages_come_and_run_here(tmp_path: Path) -> None:
    steps: list[str] = []

    engine = debian.fetch(tmp_path, load_pins()[0], lambda doing, progress: steps.append(doing))

    assert engine.run("--version").returncode == 0
    assert {"--slot-save-path", "--api-key-file", "--parallel"} <= engine.options()
    assert debian.installed(tmp_path) == engine
    assert sorted(file.name for file in tmp_path.iterdir()) == [engine.name, "packages"]
    assert any("downloading" in step for step in steps)


def test_another_architecture_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="pinned for riscv64"):
        debian.fetch(tmp_path, replace(load_pins()[0], architecture="riscv64"), lambda doing, progress: None)


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NativePin:
    """A source that is already downloaded, and tools that pretend to compile it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("cmake", CMAKE), ("ninja", "#!/bin/sh\n"), ("c++", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod((tools / name).stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    source = tmp_path / "llama_cpp_python-0.0.1/vendor/llama.cpp"
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").touch()
    work = tmp_path / "engine/.build"
    work.mkdir(parents=True)
    archive = work / "llama_cpp_python-0.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source.parents[1], "llama_cpp_python-0.0.1")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    return NativePin("llama-cpp-python", "0.0.1", archive.name, sha256, ("cmake", "ninja"))


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    return tmp_path / "engine"


def test_a_build_shows_its_progress_and_leaves_only_the_engine(engines: Path, pin: NativePin) -> None:
    steps: list[tuple[str, float | None]] = []

    engine = native.build(engines, pin, OLD, lambda *step: steps.append(step))

    assert engine.run("--version").stdout == "version: native\n"
    assert ("building an engine for this CPU, step 1 of 2", 0.5) in steps
    assert steps[-1][1] == 1.0
    assert native.installed(engines, pin, OLD) == engine
    assert sorted(file.name for file in engines.iterdir()) == [".build.lock", "build.log", engine.name]


def test_what_is_built_is_not_built_again_but_for_other_instructions(engines: Path, pin: NativePin) -> None:
    native.build(engines, pin, OLD, lambda *step: None)
    again: list[str] = []

    native.build(engines, pin, OLD, lambda doing, progress: again.append(doing))

    assert again == []
    assert native.installed(engines, pin, replace(OLD, flags=frozenset({"sse4_1"}))) is None


def test_a_failed_build_says_where_it_stopped_and_can_be_tried_again(engines: Path, pin: NativePin) -> None:
    output = engines / ".build" / native.folder_name(pin, OLD)
    output.mkdir(parents=True)
    (output / "broken").touch()
    with pytest.raises(EngineError, match=r"build\.log.*out of registers"):
        native.build(engines, pin, OLD, lambda *step: None)
    assert native.installed(engines, pin, OLD) is None

    (output / "broken").unlink()
    native.build(engines, pin, OLD, lambda *step: None)

    assert native.installed(engines, pin, OLD) is not None


def test_without_a_compiler_the_package_to_install_is_named(
    engines: Path, pin: NativePin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(EngineError, match=r"apt-get install g\+\+"):
        native.build(engines, pin, OLD, lambda *step: None)


def test_the_build_pays_only_below_avx2() -> None:
    assert native.wanted(OLD)
    assert not native.wanted(replace(OLD, cpu=CpuClass.AVX2))


def test_where_no_packages_can_be_had_an_engine_is_built(
    engines: Path, pin: NativePin, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = replace(load_pins()[0], architecture="riscv64")
    monkeypatch.setattr(sources, "load_pins", lambda: (closed, pin))

    engine = sources.prepare(engines, OLD, lambda *step: None, [], build=False)

    assert engine.name == native.folder_name(pin, OLD)


def test_an_engine_that_serves_stays_where_the_build_fails(
    engines: Path, pin: NativePin, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "load_pins", lambda: (load_pins()[0], pin))
    (engines / engine.name).symlink_to(Path(engine.command[0]).parents[3])
    output = engines / ".build" / native.folder_name(pin, OLD)
    output.mkdir(parents=True)
    (output / "broken").touch()
    steps: list[str] = []

    found = sources.prepare(engines, OLD, lambda doing, progress: steps.append(doing), [], build=True)

    assert found.name == engine.name
    assert "out of registers" in steps[-1]


class TestOrder:
    """Which engine is started."""

    @pytest.fixture(autouse=True)
    def _pins(self, pin: NativePin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "load_pins", lambda: (load_pins()[0], pin))

    def test_a_llama_server_on_the_path_comes_first(self, engines: Path, pin: NativePin, tmp_path: Path) -> None:
        native.build(engines, pin, OLD, lambda *step: None)
        self.put(tmp_path / "tools/llama-server", "exit 0")

        assert self.name(engines) == "path"

    def test_one_that_dies_on_this_cpu_is_passed_over(self, engines: Path, pin: NativePin, tmp_path: Path) -> None:
        built = native.build(engines, pin, OLD, lambda *step: None)
        self.put(tmp_path / "tools/llama-server", "kill -ILL $$")

        assert self.name(engines) == built.name

    def test_a_build_takes_over_from_debians(self, engines: Path, pin: NativePin, engine: Engine) -> None:
        (engines / engine.name).symlink_to(Path(engine.command[0]).parents[3])
        assert self.name(engines) == engine.name

        built = native.build(engines, pin, OLD, lambda *step: None)

        assert self.name(engines) == built.name

    def test_a_build_of_an_older_release_is_better_than_none(self, engines: Path, pin: NativePin) -> None:
        built = native.build(engines, replace(pin, version="0.0.0"), OLD, lambda *step: None)

        assert self.name(engines) == built.name

    @staticmethod
    def put(file: Path, command: str) -> None:
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)

    @staticmethod
    def name(engines: Path) -> str:
        found = sources.present_engine(engines, OLD)
        assert found is not None
        return found.name
