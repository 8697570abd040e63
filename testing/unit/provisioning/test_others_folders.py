"""Root in folders that a service's user may write: links, pipes, depths, and which of the roles write there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.ansible_plugins import PLUGINS, load

pytestmark = pytest.mark.unit

keyring = load("modules/consul_keyring")
adopt = load("modules/adopt")
RING = Path("serf/local.keyring")
# Whose users are not root: what lies in them may be swapped while root looks.
OTHERS = ("/opt/consul/", "{{ app_state_dir }}/", "{{ nats_data }}/", "{{ heal_place.folder }}/")
WRITE = ("template", "copy", "lineinfile", "blockinfile", "unarchive", "get_url", "replace", "assemble")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/serf").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/local.keyring").write_text('["somebody"]')
    return tmp_path / "data"


def test_a_pipe_in_the_place_of_a_ring_keeps_nobody_waiting(data: Path) -> None:
    os.mkfifo(data / RING)

    assert keyring.forget_ring(data, RING, "key")["changed"]
    assert not (data / RING).exists()


def test_an_endless_ring_is_not_read(data: Path) -> None:
    (data / RING).touch()
    os.truncate(data / RING, 1 << 40)

    assert keyring.forget_ring(data, RING, "key")["changed"]


def test_a_link_in_the_place_of_a_ring_is_removed_and_not_followed(data: Path) -> None:
    (data / RING).symlink_to("../../etc/local.keyring")

    assert keyring.forget_ring(data, RING, "key")["changed"]
    assert not (data / RING).is_symlink()
    assert (data / "../etc/local.keyring").exists()


def test_a_link_on_the_way_to_a_ring_ends_it(data: Path) -> None:
    (data / "serf").rmdir()
    (data / "serf").symlink_to("../etc")

    with pytest.raises(OSError, match="serf"):
        keyring.forget_ring(data, RING, "key")
    assert (data / "../etc/local.keyring").exists()


def test_no_depth_of_folders_breaks_who_adopts(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    assert adopt.adopt(str(tmp_path), 1, 1, giver=os.geteuid(), dry=True)[0] == "d"


def tasks(listed: object) -> Iterator[Mapping[str, Any]]:
    for task in listed if isinstance(listed, list) else []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


def test_no_role_has_root_write_into_a_folder_of_another_user() -> None:
    seen = 0
    for file in (PLUGINS.parent / "roles").glob("*/tasks/*.yaml"):
        for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8"))):
            for name, options in task.items():
                if name.rpartition(".")[2] in WRITE and isinstance(options, dict):
                    seen += 1
                    place = str(options.get("dest", options.get("path", "")))
                    assert not place.startswith(OTHERS) or "become_user" in task, f"{file}: {task.get('name')}"
    assert seen > 30
