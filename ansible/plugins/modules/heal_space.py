"""Ansible module: makes room on a full disk by what is ours and can be had again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible.module_utils.disks import biggest, is_full, rooms, sizes
from ansible.module_utils.others_folder import unlink_inside

DOCUMENTATION = """
module: heal_space
short_description: Makes room on full disks by what is ours and can be had again
description:
  - Old versions of the cluster's programs, packages that apt has downloaded, rotated logs of our services, and the
    journal beyond some 64 MiB. What lies on a disk that is not full stays. Nothing else is touched.
options:
  mounts:
    description: Where the full disks are mounted.
    type: list
    elements: path
    required: true
  least_free_mb:
    description: A disk with less free (MiB), and with less than a twentieth of its size, is full.
    type: int
    required: true
  logs:
    description: The folder of our services' logs.
    type: path
    required: true
"""

RETURN = """
mended: {description: What was removed, in words., type: list}
open: {description: 'The disks that are full still: C(problem) and C(next).', type: list}
"""

PROGRAMS = Path("/opt/hashicorp")
APT = Path("/var/cache/apt/archives")
JOURNAL = Path("/var/log/journal")
JOURNAL_KEPT = "64M"


def old_versions(programs: Path) -> Iterator[Path]:
    """The folders of versions that are not in use. Where none is, none is old."""
    for program in sorted(programs.iterdir() if programs.is_dir() else ()):
        current = program / "current"
        if not current.is_symlink() or not current.exists():
            continue
        used = current.resolve()
        yield from (
            entry
            for entry in sorted(program.iterdir())
            if entry.is_dir() and not entry.is_symlink() and not used.is_relative_to(entry.resolve())
        )


def packages(apt: Path) -> Iterator[Path]:
    """The packages that apt has downloaded."""
    yield from sorted(apt.glob("*.deb"))
    yield from sorted(apt.glob("partial/*"))


def rotated(logs: Path) -> Iterator[Path]:
    """The logs that are closed: svlogd's, and numbered or packed ones."""
    for pattern in ("*/@*", "**/*.gz", "**/*.[0-9]", "**/*.old"):
        yield from sorted(file for file in logs.glob(pattern) if file.is_file() and not file.is_symlink())


def on(path: Path, devices: set[int]) -> bool:
    """Whether a file or folder lies on one of these disks."""
    try:
        return path.lstat().st_dev in devices
    except OSError:
        return False


def size(path: Path) -> int:
    """The bytes that a file or folder takes."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_blocks * 512 for file in files)


def remove(paths: Iterator[Path], devices: set[int], dry: bool, *, others: Path | None = None) -> int:
    """Remove those on these disks; how many bytes they took. ``others`` is a folder, around all of them, that other
    users may write: only files are removed there."""
    freed = 0
    for path in list(paths):
        if not path.exists() or not on(path, devices):
            continue
        freed += size(path)
        if dry:
            continue
        if others is not None:
            unlink_inside(others, path.relative_to(others))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return freed


def shorten_journal(devices: set[int], dry: bool) -> int:
    """Remove what the journal keeps beyond its share; how many bytes."""
    if dry or not JOURNAL.is_dir() or not on(JOURNAL, devices):
        return 0
    before = size(JOURNAL)
    subprocess.run(["journalctl", f"--vacuum-size={JOURNAL_KEPT}"], capture_output=True, check=False)
    return max(0, before - size(JOURNAL))


def free(mounts: list[str], logs: Path, dry: bool) -> list[str]:
    """Make room; what was removed, in words."""
    devices = {Path(mount).stat().st_dev for mount in mounts}
    kinds: list[tuple[str, Callable[[], int]]] = [
        ("old versions of the cluster's programs", lambda: remove(old_versions(PROGRAMS), devices, dry)),
        ("packages that apt had downloaded", lambda: remove(packages(APT), devices, dry)),
        ("rotated logs", lambda: remove(rotated(logs), devices, dry, others=logs)),
        ("old pages of the journal", lambda: shorten_journal(devices, dry)),
    ]
    return [f"{name} ({freed >> 20} MiB)" for name, remove_them in kinds if (freed := remove_them()) >= 1 << 20]


def still_full(mounts: list[str], least_free_mb: int) -> list[dict[str, str]]:
    """The disks that are full still, each with what takes most of it."""
    found = []
    for room in rooms(Path(mount) for mount in mounts):
        if is_full(room, least_free_mb):
            most = ", ".join(f"{each['path']} ({each['mb']} MiB)" for each in biggest(sizes(room["mount"])))
            free_mb, size_mb = room["free_mb"], room["size_mb"]
            problem = f"the disk at {room['mount']} is full ({free_mb} of {size_mb} MiB are free)"
            found.append({"problem": problem, "next": f"make room; the biggest are {most or 'many small files'}"})
    return found


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "mounts": {"type": "list", "elements": "path", "required": True},
            "logs": {"type": "path", "required": True},
            "least_free_mb": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    mounts = module.params["mounts"]
    try:
        freed = free(mounts, Path(module.params["logs"]), module.check_mode)
        missing = still_full(mounts, module.params["least_free_mb"])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    mended = [f"a full disk: removed {', '.join(freed)}"] if freed else []
    module.exit_json(changed=bool(freed), mended=mended, open=missing)


if __name__ == "__main__":
    main()
