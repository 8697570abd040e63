"""Every command that a page prints does what the page says: it runs here, or names the test that runs it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from testing.docs.elsewhere import ELSEWHERE
from testing.docs.pages import ROOT, Block, blocks, matches, steps
from testing.docs.sandbox import Sandbox

pytestmark = pytest.mark.docs

BLOCKS = blocks()
HERE = [block for block in BLOCKS if not block.test]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("docs")) as opened:
        yield opened


@pytest.mark.parametrize("block", HERE, ids=lambda block: block.name)
def test_command_works_as_printed(sandbox: Sandbox, block: Block) -> None:
    for step in steps(block):
        result = sandbox.run(step.command)
        assert result.returncode == 0, f"{step.command}\nexit {result.returncode}\n{result.stdout}"
        if step.printed:
            assert matches(step.printed, result.stdout), f"{step.command}\nprinted:\n{result.stdout}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.test], ids=lambda block: block.name)
def test_command_that_runs_elsewhere_names_its_test(block: Block) -> None:
    assert block.test in ELSEWHERE, f"add {block.test} to testing/docs/elsewhere.py"


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_named_tests_exist(name: str) -> None:
    for test in ELSEWHERE[name]:
        file, _, function = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in functions, test
    assert name in {block.test for block in BLOCKS}, f"no page uses {name} any more"


# Of a command in a cluster, what only says where it runs, who runs it and for which job: the tests have an inventory of
# their own, root's shell on the nodes, an account that needs no password, and a small job.
WHERE_AND_WHO = {"sudo", "--ask-become-pass", "-i", "inventory.yaml", "-e", "--tags"}
JOB = {"pipecat-app", "/opt/nomad/jobs/pipecat-app.nomad"}
IN_A_CLUSTER = [
    pytest.param(line, block.test, id=f"{block.name}: {line}")
    for block in BLOCKS
    if block.test
    for line in block.body.splitlines()
    if re.match(r"(sudo )?(ansible-playbook|consul|nomad) ", line)
]


def program(file: Path) -> ast.Module:
    """A file of Python without what is only said in it: comments and descriptions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return tree


def function_of(file: Path, name: str) -> str:
    """The program of one function of a file."""
    for node in ast.walk(program(file)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.unparse(node)
    raise LookupError(f"{file} has no function {name}")


def within_reach(file: Path) -> str:
    """The program of a test's file and of what it takes from the lab, from which a test may call."""
    names = re.findall(r"^from (testing\.lab\.\w+)", file.read_text(encoding="utf-8"), re.M)
    helpers = sorted({ROOT / f"{name.replace('.', '/')}.py" for name in names})
    return "\n".join(ast.unparse(program(each)) for each in (file, *helpers))


@pytest.mark.parametrize(("line", "name"), IN_A_CLUSTER)
def test_command_of_a_cluster_is_what_its_test_runs(line: str, name: str) -> None:
    """What a named test says itself are the options; the program or the playbook may stand in what it calls."""
    said = ("--tags", "-e")
    words = shlex.split(line)
    options = [after for word, after in pairwise(words) if word in said]
    rest = set(words) - WHERE_AND_WHO - JOB - set(options) - {"ansible-playbook"}
    missing = {}
    for test in ELSEWHERE[name]:
        file, _, function = test.partition("::")
        itself, reach = function_of(ROOT / file, function), within_reach(ROOT / file)
        missing[test] = [word for word in options if not re.search(rf"\b{re.escape(word)}\b", itself)]
        missing[test] += [word for word in rest if not re.search(rf"[\"'/ ]{re.escape(word)}[\"' ]", reach)]
    assert [] in missing.values(), missing
