"""The commands on the pages that another test runs, because they need a machine of their own or minutes.

A block with the info string ```` ```bash test=NAME ```` is looked up here; every other block runs in the sandbox.
"""

from __future__ import annotations

# Name in the page -> the test that runs these commands, as `file::function`.
ELSEWHERE = {
    # The sandbox of every other command runs it.
    "serve": "testing/docs/test_commands.py::test_command_works_as_printed",
    "setup": "testing/integration/house/test_scripts.py::test_setup_has_nothing_to_do_the_second_time",
    # It runs itself: the test takes a small selection. CI runs it whole (.ci/run).
    "self": "testing/integration/house/test_scripts.py::test_scripts_test_runs_a_selection_and_ends_with_the_summary",
    # scripts/test runs the linters before the tests.
    "linters": "testing/integration/house/test_scripts.py::test_npm_run_lint_is_the_check",
    "lock": "testing/integration/house/test_scripts.py::test_locks_are_what_pyproject_resolves_to",
}
