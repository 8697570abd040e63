"""Every command that a page prints does what the page says: it runs here, or names the test that runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
