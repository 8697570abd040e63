"""What only a virtual machine of the lab has to itself: its clock, and a disk that forgets what was not flushed."""

from __future__ import annotations

import base64
import datetime
import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from testing.lab import virtual
from testing.lab.lab import Lab
from testing.lab.play import REPOSITORY
from testing.lab.virtual import Virtual

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(virtual.missing()), reason=virtual.missing()),
]

SOURCE = REPOSITORY / "src"
FACTS = 100


@pytest.fixture(scope="module")
def pc(lab: Lab) -> Virtual:
    """An old PC whose clock has no battery."""
    (made,) = lab.add_virtual("v1", clock="2009-01-01T00:00:00")
    return made


def test_it_is_a_pc_of_2008_with_a_kernel_and_a_clock_of_its_own(lab: Lab, pc: Virtual) -> None:
    assert "Core(TM)2 Duo" in lab.run("v1", "cat", "/proc/cpuinfo").output
    assert lab.run("v1", "systemctl", "is-system-running").output == "running\n"
    assert lab.ssh("v1", "sudo", "id", "-un").output == "root\n"
    assert lab.run("v1", "sh", "-c", "cat; echo $A >&2; exit 3", text="read ", env={"A": "b"}).output == "read b\n"
    # systemd takes no clock for right that is older than itself: that of 2009 has become one of its own age.
    before = datetime.datetime.now(datetime.UTC).timestamp()
    assert float(lab.run("v1", "date", "+%s").output) < before - 24 * 3600
    assert lab.run("v1", "date", "--set=2019-01-01").code == 0
    assert lab.run("v1", "date", "+%Y").output == "2019\n"
    assert datetime.datetime.now(datetime.UTC).timestamp() >= before


def bring(lab: Lab, node: str) -> None:
    """The program's source to a node; its storage needs nothing but Python."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in (*(SOURCE / "pipecatapp").glob("*.py"), SOURCE / "pipecatapp/storage"):
            archive.add(
                path, path.relative_to(SOURCE), filter=lambda info: None if "__pycache__" in info.name else info
            )
        archive.add(Path(__file__).with_name("remembering.py"), "remembering.py")
    unpack = "mkdir -p /opt/source && base64 --decode | tar --extract --gzip --no-same-owner --directory=/opt/source"
    done = lab.run(node, "sh", "-ec", f"{unpack} && sync", text=base64.b64encode(packed.getvalue()).decode())
    assert done.code == 0, done.output


def remembers(pc: Virtual, chance: random.Random | None) -> dict[str, set[int]]:
    """Which facts each journal had acknowledged when the power went, in the middle of writing more."""
    acknowledged: dict[str, set[int]] = {"journal": set(), "hasty": set()}
    writing = pc.popen(["python3", "/opt/source/remembering.py", "write", "/srv/facts"], env={"PYTHONUNBUFFERED": "1"})
    assert writing.stdout is not None
    with writing.stdout as lines:
        for line in lines:
            name, _, number = line.partition(" ")
            assert name in acknowledged, f"{line}{lines.read()}"
            acknowledged[name].add(int(number))
            if len(acknowledged["journal"]) == FACTS:
                pc.power_cut(chance)
                # Nobody says good-bye to it.
                writing.terminate()
    writing.wait()
    return acknowledged


@pytest.mark.parametrize("chance", [None, random.Random(7)], ids=["all lost", "any lost"])
def test_no_fact_that_was_acknowledged_is_lost_with_what_the_disk_had_not_written(
    lab: Lab, pc: Virtual, chance: random.Random | None
) -> None:
    bring(lab, "v1")
    assert lab.run("v1", "cat", "/sys/block/nvme0n1/queue/write_cache").output == "write back\n"

    acknowledged = remembers(pc, chance)
    lab.start("v1")

    done = lab.run("v1", "python3", "/opt/source/remembering.py", "read", "/srv/facts")
    there = {name: set(ids) for name, ids in json.loads(done.output).items()}
    lost = {name: len(known - there[name]) for name, known in acknowledged.items()}
    print(f"acknowledged {len(acknowledged['journal'])}, lost {lost}; {pc.lost_writes} writes of the disk lost")
    assert len(acknowledged["journal"]) >= FACTS
    assert lost["journal"] == 0
    assert lost["hasty"] > 0, "a disk that forgets nothing shows nothing"
