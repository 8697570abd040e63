"""Every template of the roles and jobs can be read by Ansible's own Jinja, which knows each filter that it names."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
# It has Ansible, which the environment of the tests has not.
PYTHON = ROOT / ".cache/provision/bin/python"
PROGRAM = """
import ast, json, sys
from pathlib import Path
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

init_plugin_loader()
environment = Templar(loader=DataLoader()).environment
wrong = {}
for name in sys.argv[1:]:
    text = Path(name).read_text()
    signs = {}
    if text.startswith("#jinja2:"):
        line, _, text = text.removeprefix("#jinja2:").partition("\\n")
        signs = {key.strip(): ast.literal_eval(value.strip()) for key, value in
                 (pair.split(":", 1) for pair in line.split(","))}
    try:
        environment.overlay(**signs).compile(text, name)
    except Exception as error:
        wrong[name] = str(error)
print(json.dumps(wrong))
"""


def wrong(*templates: Path) -> dict[str, str]:
    """Which of these cannot be read, and why."""
    done = subprocess.run(
        [PYTHON, "-c", PROGRAM, *templates], cwd=ROOT, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_template_is_one() -> None:
    templates = sorted([*(ROOT / "ansible").rglob("*.j2"), *(ROOT / "jobs").rglob("*.j2")])
    assert len(templates) > 30
    assert wrong(*templates) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{% if x %}\n", "endif"),
        ("{{ x | no_such_filter }}\n", "no_such_filter"),
        ('#jinja2: variable_start_string:"[["\n{{ x\n', ""),
        ('#jinja2: variable_start_string:"[[", variable_end_string:"]]"\n[[ x\n', "unexpected"),
    ],
)
def test_one_that_is_none_is_named_with_its_reason(tmp_path: Path, text: str, why: str) -> None:
    template = tmp_path / "some.j2"
    template.write_text(text)

    found = wrong(template)

    if not why:
        assert found == {}
    else:
        assert why in found[str(template)]
