"""What bootstrap.sh was told of the way out (proxies, a package index) is written down and holds for the next run."""

from __future__ import annotations

import getpass
import grp
import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PLAY = ROOT / ".cache/provision/bin/ansible-playbook"
INDEX = "https://user:secret@index.example/simple"
BOOK = f"""
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: [{ROOT}/group_vars/all.yaml, {ROOT}/ansible/roles/pipecatapp/defaults/main.yaml]
  handlers:
    - {{name: Restart pipecatapp, ansible.builtin.meta: noop}}
    - {{name: Restart pipecatapp-engine, ansible.builtin.meta: noop}}
    - {{name: Restart pipecatapp-engine-prepare, ansible.builtin.meta: noop}}
  tasks:
    - ansible.builtin.include_tasks: tasks.yaml
    - ansible.builtin.copy:
        content: "{{{{ download_environment | to_json }}}}"
        dest: "{{{{ playbook_dir }}}}/download.json"
        mode: "0600"
"""


def configure(folder: Path, remembered: dict[str, str], **told: str) -> tuple[dict[str, str], dict[str, str]]:
    """Write the settings file as the role does, where this environment is told: the settings in it, and what a download
    of that run gets."""
    group = grp.getgrgid(os.getgid()).gr_name
    (folder / "config").mkdir(exist_ok=True)
    (folder / "book.yaml").write_text(BOOK)
    tasks = (ROOT / "ansible/roles/pipecatapp/tasks/configure.yaml").read_text()
    tasks = tasks[tasks.index("- name: Keep the certificates") : tasks.index("- name: Make the folder of the personas")]
    tasks = tasks.replace("owner: root", f"owner: {getpass.getuser()}").replace("group: root", f"group: {group}")
    (folder / "tasks.yaml").write_text(tasks)
    values = {
        "app_config_dir": str(folder / "config"),
        "app_user": group,
        "preflight_remembered": remembered,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    environment = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    environment = {name: value for name, value in environment.items() if not name.startswith("PIP_")} | told
    command = [str(PLAY), "-i", "localhost,", "-e", json.dumps(values), "--diff", str(folder / "book.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (folder / "config/pipecatapp.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return settings, json.loads((folder / "download.json").read_text())


def test_an_index_of_ones_own_is_kept_with_a_copy_of_its_certificates(tmp_path: Path) -> None:
    stick = tmp_path / "stick.pem"
    stick.write_text("-----BEGIN CERTIFICATE-----\n")
    told = {"PIP_INDEX_URL": INDEX, "PIP_CERT": str(stick), "HTTPS_PROXY": "http://proxy:3128"}
    settings, download = configure(tmp_path, {}, **told)
    kept = tmp_path / "config/index-ca.pem"
    assert (settings["PIP_INDEX_URL"], settings["PIP_CERT"]) == (INDEX, str(kept))
    assert "PIP_TRUSTED_HOST" not in settings
    assert kept.read_text() == stick.read_text()
    assert (download["PIP_INDEX_URL"], download["https_proxy"]) == (INDEX, "http://proxy:3128")

    stick.unlink()
    again, download = configure(tmp_path, settings)
    assert again == settings
    assert (download["PIP_INDEX_URL"], download["PIP_CERT"]) == (INDEX, str(kept))


def test_where_nothing_was_told_nothing_is_written(tmp_path: Path) -> None:
    settings, download = configure(tmp_path, {})
    assert not [name for name in settings if name.startswith("PIP_") or name.endswith("_PROXY")]
    assert download == {}
