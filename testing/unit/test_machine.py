"""What a PC has, from its /proc: old CPUs, shared cores, a container's limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.machine import CPU_CLASS_VARIABLE, CpuClass, classify, detect

pytestmark = pytest.mark.unit

CORE2 = "fpu sse sse2 ssse3 cx16"
FLAGS = {
    CpuClass.CORE2: CORE2,
    CpuClass.PENRYN: f"{CORE2} sse4_1",
    CpuClass.NEHALEM: f"{CORE2} sse4_1 sse4_2 popcnt",
    CpuClass.AVX: f"{CORE2} sse4_1 sse4_2 popcnt avx",
    CpuClass.AVX2: f"{CORE2} sse4_1 sse4_2 popcnt avx f16c fma avx2",
    CpuClass.AVX512: f"{CORE2} sse4_1 sse4_2 popcnt avx f16c fma avx2 avx512f avx512bw avx512vl",
}


def pc(root: Path, *, threads: int = 2, cores: int = 2, flags: str = CORE2, ram_kb: int = 8_000_000) -> Path:
    blocks = [
        f"processor\t: {n}\nphysical id\t: 0\ncore id\t\t: {n % cores}\nflags\t\t: {flags}\n" for n in range(threads)
    ]
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text("\n".join(blocks))
    (root / "proc/meminfo").write_text(f"MemTotal:       {ram_kb} kB\nMemAvailable:   {ram_kb // 2} kB\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    return root


@pytest.mark.parametrize(("expected", "flags"), list(FLAGS.items()))
def test_the_class_is_the_newest_whose_instructions_are_all_there(expected: CpuClass, flags: str) -> None:
    assert classify(frozenset(flags.split())) == expected


def test_avx2_without_f16c_counts_as_avx() -> None:
    assert classify(frozenset({"sse4_2", "avx", "avx2", "fma"})) == CpuClass.AVX


def test_classes_are_ordered() -> None:
    assert CpuClass.AVX2.at_least(CpuClass.CORE2)
    assert CpuClass.PENRYN.at_least(CpuClass.PENRYN)
    assert not CpuClass.NEHALEM.at_least(CpuClass.AVX)


def test_two_threads_of_a_core_are_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))

    assert detect(pc(tmp_path, threads=8, cores=4)).cores == 4


def test_a_containers_quota_and_memory_limit_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    root = pc(tmp_path, threads=8, cores=8)
    (root / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n")
    (root / "sys/fs/cgroup/memory.max").write_text(f"{2 << 30}\n")

    machine = detect(root)

    assert (machine.cores, machine.ram_mb) == (2, 2048)


def test_no_limit_means_all_of_it(tmp_path: Path) -> None:
    root = pc(tmp_path)
    (root / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")

    assert detect(root).ram_mb == 8_000_000 // 1024


def test_an_emulator_names_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS_VARIABLE, "core2")

    assert detect(pc(tmp_path, flags=FLAGS[CpuClass.AVX512])).cpu == CpuClass.CORE2
