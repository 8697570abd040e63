"""Every default dependency loads on a Core 2 Duo (no SSE4.1, no AVX) and on a Nehalem (no AVX); the eyes work there."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.integration.house.test_dependencies import PROJECT, modules
from testing.oldcpu.emulator import CPUS, run_python

pytestmark = pytest.mark.oldcpu

# Runs a few bytes of machine code.
EXECUTE = """
import ctypes, mmap, sys
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex(sys.argv[1]))
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print("executed")
"""
INSTRUCTIONS = {
    "SSSE3": "660f381cc0 c3",  # pabsb
    "SSE4.1": "660f3a0bc000 c3",  # roundsd
    "AVX": "c5fc57c0 c3",  # vxorps
}


@pytest.mark.parametrize(
    ("cpu", "extension", "has_it"),
    [
        ("core2duo", "SSSE3", True),
        ("core2duo", "SSE4.1", False),
        ("Nehalem", "SSE4.1", True),
        ("Nehalem", "AVX", False),
    ],
)
def test_the_emulated_processor_has_what_the_real_one_had(cpu: str, extension: str, has_it: bool) -> None:
    """Without this the other tests here would prove nothing."""
    result = run_python(cpu, ["-c", EXECUTE, INSTRUCTIONS[extension]], timeout=60)
    assert ("executed" in result.stdout) is has_it, result.stderr


@pytest.mark.parametrize("cpu", CPUS)
def test_default_dependencies_load(cpu: str) -> None:
    names = modules(PROJECT["dependencies"])
    program = "\n".join(f"import {name}" for name in names) + "\nprint('loaded')"
    result = run_python(cpu, ["-c", program], timeout=240)
    assert result.stdout.strip().endswith("loaded"), f"exit {result.returncode}\n{result.stderr[-2000:]}"


@pytest.mark.parametrize("cpu", CPUS)
def test_the_addresses_of_this_machine_are_found(cpu: str) -> None:
    program = "from pipecatapp.web.addresses import local_addresses; print(*local_addresses())"
    result = run_python(cpu, ["-c", program], timeout=60)
    assert "127.0.0.1" in result.stdout.split(), result.stderr


# A video is written and read, things are found in its pictures, the annotated one becomes a JPEG.
SEE = """
import sys
from pathlib import Path
from pipecatapp.vision.capture import open_capture
from pipecatapp.vision.drawing import annotated, jpeg
from pipecatapp.vision.source import parse_source
from pipecatapp.vision.yolov8 import YOLOv8Detector
from testing.fakes.cameras import SQUARES, write_video

video = write_video(Path(sys.argv[1]), [(3, [("cup", 96, 64), ("person", 320, 240)])])
capture = open_capture(parse_source(str(video)))
assert capture.grab()
picture = capture.retrieve()
found = YOLOv8Detector(SQUARES).detect(picture)
assert jpeg(annotated(picture, found), 960)
print(*sorted(thing.label for thing in found))
"""


@pytest.mark.parametrize("cpu", CPUS)
def test_the_eyes_see(cpu: str, tmp_path: Path) -> None:
    result = run_python(cpu, ["-c", SEE, str(tmp_path / "room.avi")], timeout=300)
    assert result.stdout.strip() == "cup person", f"exit {result.returncode}\n{result.stderr[-2000:]}"
