"""What a PC has, from its /proc: old CPUs, shared cores, a container's limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.machine import CPU_CLASS_VARIABLE, CpuClass, available_mb, classify, detect

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


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        pytest.param(
            "0::/system.slice/nomad.service/alloc\n",
            {
                "system.slice/nomad.service/alloc/memory.max": "max",
                "system.slice/nomad.service/memory.max": str(900 << 20),
                "system.slice/nomad.service/memory.current": str(400 << 20),
                "system.slice/nomad.service/memory.stat": f"anon 5\ninactive_file {100 << 20}\n",
            },
            id="v2",
        ),
        pytest.param(
            "4:cpu,cpuacct:/x\n3:memory:/lab-n1\n0::/\n",
            {
                "memory/lab-n1/memory.limit_in_bytes": str(900 << 20),
                "memory/lab-n1/memory.usage_in_bytes": str(400 << 20),
                "memory/lab-n1/memory.stat": f"cache 7\ntotal_inactive_file {100 << 20}\n",
            },
            id="v1",
        ),
    ],
)
def test_what_a_control_group_leaves_is_all_there_is(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    root = pc(tmp_path)
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text(membership)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    assert available_mb(root) == 900 - 400 + 100


def test_without_a_limit_it_is_what_the_machine_has_free(tmp_path: Path) -> None:
    assert available_mb(pc(tmp_path)) == 4_000_000 // 1024
