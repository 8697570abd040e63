"""The command line of `deploy_expert.yaml`: taken as the pages write it; each wrong wish gets one sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PLAY = ROOT / ".cache/provision/bin/ansible-playbook"
HOUSE = "controller_nodes: {hosts: {c1: {ansible_connection: local}, c2: {ansible_connection: local}}}\n"


def checked(folder: Path, wishes: str) -> tuple[int, str]:
    """What the playbook says of wishes before it does anything: the exit code and the output."""
    inventory = folder / "inventory.yaml"
    inventory.write_text(HOUSE)
    command = [str(PLAY), "-i", str(inventory), "deploy_expert.yaml", "--tags", "check", "--skip-tags", "always"]
    command += ["-e", "ansible_become=false", "-e", wishes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_command_of_the_pages_is_taken_literally(tmp_path: Path) -> None:
    code, said = checked(
        tmp_path,
        "job_name=creative-expert service_name=prima-api-creative namespace=creative "
        "model_list={{ creative_writing_models }} worker_count=2",
    )
    assert code == 0, said


def test_all_that_is_wrong_is_said_at_once_one_sentence_each(tmp_path: Path) -> None:
    code, said = checked(
        tmp_path, "job_name=Creative service_name=creative namespace=a_b model_list={{ no_such_models }} worker_count=9"
    )
    assert code != 0
    for sentence in (
        "job_name is Creative; it has small letters, digits and hyphens.",
        "service_name is creative; it begins with prima-api-",
        "namespace is a_b; it has small letters, digits and hyphens.",
        "worker_count is 9, and it can be 1 to 7.",
        "model_list is missing, or the list that it names is not in group_vars/models.yaml.",
        "What to do: For example: ansible-playbook -i inventory.yaml deploy_expert.yaml",
    ):
        assert said.count(sentence) == 1, sentence


def test_to_take_one_away_its_name_is_enough(tmp_path: Path) -> None:
    code, said = checked(tmp_path, "job_name=creative-expert state=absent")
    assert code == 0, said


def test_no_role_in_it_takes_a_word_of_the_command_line() -> None:
    """A variable of the command line wins over what a role is given: `service_name` would become every service's."""
    words = {"job_name", "service_name", "namespace", "model_list", "worker_count", "state", "description"}
    (play,) = yaml.safe_load((ROOT / "deploy_expert.yaml").read_text(encoding="utf-8"))
    seen: set[str] = set()
    waiting = [(one["role"], "main") for one in play["roles"]] + [("expert", "check")]
    while waiting:
        role, entry = waiting.pop()
        folder = ROOT / "ansible/roles" / role
        text = (folder / f"tasks/{entry}.yaml").read_text(encoding="utf-8")
        seen.add(role)
        for task in _tasks(yaml.safe_load(text)):
            for kind in ("import_role", "include_role"):
                if named := task.get(f"ansible.builtin.{kind}"):
                    waiting.append((named["name"], named.get("tasks_from", "main")))
            for kind in ("import_tasks", "include_tasks"):
                if named := task.get(f"ansible.builtin.{kind}"):
                    waiting.append((role, str(named).removesuffix(".yaml")))
    taken = {
        role: set(yaml.safe_load(file.read_text(encoding="utf-8")) or {}) & words
        for role in seen
        if (file := ROOT / "ansible/roles" / role / "defaults/main.yaml").exists()
    }
    assert {"expert", "cluster", "llamacpp", "pipecatapp", "nomad_job"} <= seen
    assert {role: names for role, names in taken.items() if names} == {}
    assert "service" not in seen


def _tasks(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for task in content:
        found.append(task)
        for part in ("block", "rescue", "always"):
            found += _tasks(task.get(part, []))
    return found
