"""Attacks on the variables of a playbook, with the real Ansible: whatever stands in them is a value, nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.ansible import RunPlaybook
from pipecatapp.tools.ansible_run import Played, play
from pipecatapp.tools.playbook_variables import RESERVED, as_untrusted_yaml
from pipecatapp.tools.playbooks import declared_variables
from testing.fakes.agreed import agreed

pytestmark = pytest.mark.integration

CONTEXT = ToolContext("c", "t")
PROGRAM = Path(__file__).resolve().parents[3] / ".cache/provision/bin/ansible-playbook"

SPECS = """argument_specs:
  main:
    options:
      note_text: {type: str}
      note_size: {type: int}
      note_bold: {type: bool}
      note_place: {type: str, choices: [door, fridge]}
      note_lines: {type: list, elements: str}
      note_more: {type: dict}
      note_paper: {type: dict, options: {colour: {type: str}}}
      ansible_connection: {type: str}
  shout:
    options:
      note_volume: {type: int}
"""
# Everything that a role does with a variable: other variables, templates, lookups, conditions, loops, facts.
TASKS = """- name: Copy
  ansible.builtin.copy: {content: "{{ note_text }}\\n", dest: "{{ playbook_dir }}/copied", mode: "0644"}
- name: Template
  ansible.builtin.template: {src: note.j2, dest: "{{ playbook_dir }}/templated", mode: "0644"}
- name: Template of a template
  ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.template', 'note.j2') }}"
    dest: "{{ playbook_dir }}/looked-up"
    mode: "0644"
- name: Derived
  ansible.builtin.debug: {msg: "{{ note_derived }} {{ note_joined }} {{ note_more | default({}) | dict2items }}"}
- name: By name
  ansible.builtin.debug: {msg: "{{ lookup('ansible.builtin.vars', 'note_text') }} {{ hostvars.localhost.note_text }}"}
- name: Fact
  ansible.builtin.set_fact: {note_fact: "{{ note_text }}", cacheable: false}
- name: Of the fact
  ansible.builtin.debug: {msg: "{{ note_fact }}"}
- name: Loop
  ansible.builtin.debug: {msg: "{{ item }}"}
  loop: "{{ note_lines | default([]) + [note_text] }}"
- name: Variable as an argument
  ansible.builtin.debug: {var: note_text}
- name: Condition on a text
  ansible.builtin.debug: {msg: "{{ 'long' if note_text | length > 9 else 'short' }}"}
  when: note_text is match('.*')
- name: Command
  ansible.builtin.command: {argv: [echo, "{{ note_text }}"]}
  changed_when: false
- name: A condition that is made of the text
  ansible.builtin.debug: {msg: never}
  when: note_text
  ignore_errors: true
- name: Delegated
  ansible.builtin.debug: {msg: "{{ note_text }}"}
  delegate_to: localhost
  vars: {note_again: "{{ note_text }}"}
"""
DEFAULTS = """note_text: hello
note_derived: "<{{ note_text }}>"
note_joined: "{{ [note_text, note_derived] | join(',') }}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    role = folder / "parts/note"
    for part in ("meta", "tasks", "defaults", "templates"):
        (role / part).mkdir(parents=True)
    (role / "meta/argument_specs.yaml").write_text(SPECS)
    (role / "tasks/main.yaml").write_text(TASKS)
    (role / "defaults/main.yaml").write_text(DEFAULTS)
    (role / "templates/note.j2").write_text("{{ note_text }}\n{{ note_more | default({}) }}\n")
    (folder / "note.yaml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  vars: {word: hello, made: '{{ word }}', hosts: x}\n"
        "  roles: [note]\n"
    )
    (folder / "hosts").write_text("localhost ansible_connection=local\n")
    (folder / "ansible.cfg").write_text(
        "[defaults]\ninventory = hosts\nroles_path = parts\ninterpreter_python = /usr/bin/python3\n"
    )
    return folder


async def ansible(folder: Path, text: str) -> Played:
    """A run with a file of variables that nobody checked."""
    (folder / "given.yaml").write_text(text)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    environment |= {"ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    return await play(
        [str(PROGRAM), str(folder / "note.yaml"), f"--extra-vars=@{folder}/given.yaml"], folder, environment, 120
    )


def attacks(marker: Path) -> list[str]:
    pipe = f"lookup('ansible.builtin.pipe', 'touch {marker}')"
    return [
        f"{{{{ {pipe} }}}}",
        f"#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ {pipe} ]]",
        f"#jinja2: block_start_string:'[%', block_end_string:'%]'\n[% if {pipe} %]x[% endif %]",
        f"{{% set x = {pipe} %}}{{{{ x }}}}",
        f"{{% for i in range(9) %}}{{{{ {pipe} }}}}{{% endfor %}}",
        f"{pipe}",
        f"{{{{ omit }}}}{{# {pipe} #}}",
        f"!unsafe '{{{{ {pipe} }}}}'",
        f"' }}}}{{{{ {pipe} }}}}{{{{ '",
    ]


async def test_without_the_mark_such_values_are_code(folder: Path, tmp_path: Path) -> None:
    """So the next test shows something. The first task is enough for that."""
    marker = tmp_path / "marker"
    (folder / "parts/note/tasks/main.yaml").write_text(TASKS.partition("- name: Template\n")[0])
    for attack in attacks(marker)[:5]:
        await ansible(folder, json.dumps({"note_text": attack}))
        assert marker.exists(), attack
        marker.unlink()


@pytest.mark.timeout(600)
async def test_every_attack_is_the_text_that_it_is(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    everything = attacks(marker)
    for attack in everything:
        given = {
            "note_text": attack,
            "note_lines": [attack, [attack, {"deep": attack}]],
            "note_more": {"key": attack, attack: "a value", "deep": {"er": [attack]}},
        }
        played = await ansible(folder, as_untrusted_yaml(given))
        assert played.code == 0, played.output
        assert not marker.exists(), attack
        assert (folder / "copied").read_text() == f"{attack}\n"
        assert (folder / "templated").read_text().startswith(f"{attack}\n")
        assert (folder / "looked-up").read_text().startswith(f"{attack}\n")


async def test_types_arrive_as_they_were_given(folder: Path) -> None:
    texts = [
        "8080",
        "true",
        "yes",
        "null",
        "~",
        "1.5",
        "2001-01-01",
        "",
        " x ",
        "1e3",
        "0x1f",
        "a: b",
        "'",
        '"',
        "<<",
        "=",
    ]
    given = {"note_text": "x", "note_lines": texts, "note_more": {"i": 12, "f": 1e300, "s": 1e-9, "b": True, "l": [1]}}
    (folder / "parts/note/tasks/main.yaml").write_text(
        '- ansible.builtin.copy: {content: "{{ [note_lines, note_more] | to_json }}", dest: "{{ playbook_dir }}/seen",'
        ' mode: "0644"}\n'
    )
    played = await ansible(folder, as_untrusted_yaml(given))
    assert json.loads((folder / "seen").read_text()) == [texts, given["note_more"]], played.output


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"note_text": "{{ 1 }}"}, "has a template in it"),
        ({"note_text": "{% x %}"}, "has a template in it"),
        ({"note_text": "#jinja2: variable_start_string:'[['"}, "has a template in it"),
        ({"note_text": "a\nb"}, "cannot be seen, or several lines"),
        ({"note_text": "a\u202eb"}, "cannot be seen"),
        ({"note_text": "x" * 2001}, "longer than 2000"),
        ({"note_text": 5}, "note_text must be a text"),
        ({"note_text": None}, "note_text must be a text"),
        ({"note_size": "5"}, "note_size must be a whole number"),
        ({"note_size": True}, "note_size must be a whole number"),
        ({"note_bold": 1}, "note_bold must be true or false"),
        ({"note_place": "roof"}, "must be one of: door, fridge"),
        ({"note_lines": ["a", 1]}, "each of note_lines must be a text"),
        ({"note_lines": "a"}, "note_lines must be a list"),
        ({"note_lines": ["{{ x }}"]}, "has a template in it"),
        ({"note_lines": ["a"] * 201}, "more than 200 values"),
        ({"note_more": {"{{ x }}": 1}}, "cannot be a name"),
        ({"note_more": {"__ansible_vault": "x"}}, "cannot be a name"),
        ({"note_more": {"a": {"b": ["{% x %}"]}}}, "has a template in it"),
        ({"note_more": {"a": [[[[[["x"]]]]]]}}, "too deep"),
        ({"note_more": {f"k{n}": "x" * 1000 for n in range(20)}}, "longer than 16000"),
        ({"note_paper": {"size": "A4"}}, r"note_paper has no 'size'; it has: colour \(a text\)"),
        ({"note_volume": 3}, "has no variable 'note_volume'"),  # of an entry point that is not used
        ({"other": 1}, r"has no variable 'other'; it has: made \(a plain value\), note_bold \(true or false\)"),
        ({"ansible_connection": "ssh"}, "has no variable 'ansible_connection'"),  # though the role declares it
        ({"ansible_python_interpreter": "/tmp/x"}, "has no variable"),
        ({"ansible_become_exe": "/tmp/x"}, "has no variable"),
        ({"ansible_shell_executable": "/tmp/x"}, "has no variable"),
        ({"hosts": "all"}, "has no variable 'hosts'"),  # though the play sets it
        ({"-i": 1}, "has no variable"),
        ({"@file": 1}, "has no variable"),
    ],
)  # fmt: skip
async def test_what_is_not_declared_or_no_plain_value_is_refused(
    folder: Path, tmp_path: Path, given: dict[str, Any], why: str
) -> None:
    tool = RunPlaybook(PROGRAM, folder, tmp_path / "home")
    for attempt in (tool.preview, tool.look, tool.run):
        with pytest.raises(ToolError, match=why):
            await attempt({"playbook": "note.yaml", "extra_vars": given}, CONTEXT)
    assert not (tmp_path / "home").exists()  # nothing was started


async def test_what_is_declared_arrives(folder: Path, tmp_path: Path) -> None:
    tool = RunPlaybook(PROGRAM, folder, tmp_path / "home")
    given = {"note_text": "@/etc/passwd", "note_size": 5, "note_more": {"a": [1, "b"]}, "word": "x", "made": [1]}
    arguments = {"playbook": "note.yaml", "extra_vars": given}
    result = await tool.run(arguments, await agreed(tool, arguments, CONTEXT))
    assert result.ok, result.detail
    assert (folder / "templated").read_text() == "@/etc/passwd\n{'a': [1, 'b']}\n"
    assert list((tmp_path / "home").glob("*.yaml")) == []


async def test_an_older_ansible_gets_no_variables(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "ansible-playbook"
    old.write_text("#!/bin/sh\ntouch ran\necho 'ansible-playbook [core 2.14.18]'\n")
    old.chmod(0o755)
    tool = RunPlaybook(old, folder, tmp_path / "home")
    arguments = {"playbook": "note.yaml", "extra_vars": {"note_text": "x"}}
    for attempt in (tool.look, tool.run):
        context = await agreed(tool, arguments, CONTEXT)
        with pytest.raises(ToolError, match=r"variables need ansible-core 2\.19 or newer.*here is 2\.14"):
            await attempt(arguments, context)


async def test_every_name_with_a_meaning_for_ansible_is_reserved() -> None:
    said = await asyncio.create_subprocess_exec(
        PROGRAM.with_name("python"),
        "-c",
        "import ansible.constants as C, json; from ansible.vars.reserved import get_reserved_names;"
        "print(json.dumps(sorted({*C.INTERNAL_STATIC_VARS, *get_reserved_names()})))",
        stdout=asyncio.subprocess.PIPE,
    )
    names = json.loads((await said.communicate())[0])
    assert len(names) > 90
    assert [name for name in names if name not in RESERVED and not name.startswith("ansible_")] == []


async def test_roles_are_found_wherever_a_playbook_uses_them(folder: Path) -> None:
    (folder / "all.yaml").write_text(
        "- import_playbook: note.yaml\n- ansible.builtin.import_playbook: all.yaml\n- import_playbook: /etc/x.yaml\n"
        "- hosts: localhost\n  tasks:\n    - block:\n        - ansible.builtin.include_role: {name: note,"
        " tasks_from: shout.yaml}\n"
    )
    found = declared_variables(folder, (folder / "all.yaml").resolve())
    assert {"note_text", "note_volume", "word"} <= set(found)
    assert not {"hosts", "ansible_connection"} & set(found)
